"""Make engines.json for a model directory: export, compare with PyTorch, measure, write down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import schema
import torch
from numpy.typing import NDArray
from torch import nn

import engines
from engines import BF16, EXPORTED, FP32, PRECISIONS, TORCH, WEIGHTS, Choice, Engine, golden, measure, record
from engines.export import export
from engines.golden import Agreement, Limit, agreement
from engines.pytorch import PyTorch
from engines.record import Parity, Record

LIMITS: Mapping[str, Limit] = {FP32: Limit(1e-4, 1.0), BF16: Limit(0.02, 0.99)}
_OPSET = "opset"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """What is exported: a network as it serves, and golden instances (N, …) of its input."""

    net: nn.Module
    instances: NDArray[Any]
    keep_instances: bool = False  # in engines-golden.npz; not needed where golden.json has them


def make(
    subject: Subject,
    model_dir: Path,
    say: Say,
    *,
    precision: str = FP32,
    limits: Mapping[str, Limit] = LIMITS,
) -> Record:
    """Write model.onnx and engines.json into `model_dir`, whose weights are those of `subject`.

    `precision` is what ENGINE=auto will compute in; less than fp32 has to be asked for. Raises ExportFailed.
    """
    files = export(subject.net, subject.instances, model_dir)
    if subject.keep_instances:
        golden.write_arrays(subject.instances, PyTorch(subject.net).predict(subject.instances), model_dir)
        files = (*files, golden.ARRAYS)
    weights = [path.name for path in sorted(model_dir.iterdir()) if path.suffix in (".pt", ".pth")]
    if (model_dir / WEIGHTS).is_file():
        weights = [WEIGHTS, *weights]
    made = Record(
        request_response=schema.digest(),
        files={name: record.sha256(model_dir / name) for name in (*weights, *files)},
        exported_with={"torch": torch.__version__, _OPSET: _opset(model_dir / EXPORTED)},
        input=record.Input(str(subject.instances.dtype), subject.instances.shape[1:]),
        precision=precision,
        limits=limits,
        engines=(),
        auto={},
        measured_on="",
    )
    return judged(made, subject, model_dir, say)


def judged(made: Record, subject: Subject, model_dir: Path, say: Say) -> Record:
    """Compare and time every engine on this machine, and write engines.json with what was found."""
    torch.set_num_threads(engines.threads())
    exact = PyTorch(subject.net)
    expected = exact.predict(subject.instances)
    candidates: dict[Choice, Engine] = {Choice(TORCH): exact}
    for engine, precisions in PRECISIONS.items():
        for precision in precisions:
            if engine != TORCH:
                choice = Choice(engine, precision)
                candidates[choice] = engines.load(choice, model_dir)
    parities = tuple(
        _parity(choice, agreement(expected, engine.predict(subject.instances)), made.limits)
        for choice, engine in candidates.items()
    )
    within = [Choice(one.engine, one.precision) for one in parities if one.within]
    found = measure.times({choice: candidates[choice] for choice in within}, subject.instances)
    for one in parities:
        say(_line(one, found))
    exactly = [choice for choice in within if choice.precision == FP32]
    result = replace(
        made,
        engines=parities,
        auto={FP32: measure.pick(found, exactly), BF16: measure.pick(found, within)},
        measured_on=measure.machine(),
    )
    record.write(result, model_dir)
    return result


def _parity(choice: Choice, found: Agreement, limits: Mapping[str, Limit]) -> Parity:
    return Parity(
        engine=choice.engine,
        precision=choice.precision,
        version=version(choice.engine),
        maximum_difference=float(f"{found.maximum_difference:.1e}"),
        top1_agreement=round(found.top1_agreement, 4),
        within=limits[choice.precision].allows(found),
    )


def _line(one: Parity, found: measure.Times) -> str:
    choice = Choice(one.engine, one.precision)
    text = f"{choice}: {one.maximum_difference:g} from PyTorch, top-1 agreement {one.top1_agreement:.2%}"
    return f"{text}, {found[choice] * 1e6:.0f} µs an instance" if one.within else f"{text}: outside its limit"


def _opset(model: Path) -> str:
    import onnx  # export alone needs it

    opsets = onnx.load(model, load_external_data=False).opset_import
    return next(str(opset.version) for opset in opsets if opset.domain == "")
