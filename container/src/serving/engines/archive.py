"""Write engines.json for a model directory: export the network, compare and time the engines."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from serving import engines
from serving.engines import (
    BF16,
    EXPORTED,
    FP32,
    PRECISIONS,
    TORCH,
    WEIGHTS,
    Choice,
    Engine,
    agreement,
    measure,
    record,
)
from serving.engines.agreement import Agreement, Example, Limit
from serving.engines.export import export
from serving.engines.pytorch import PyTorch
from serving.engines.record import Parity, Record

LIMITS: Mapping[str, Limit] = {FP32: Limit(1e-4, 1.0), BF16: Limit(0.02, 0.99)}
_OPSET = "opset"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportInput:
    """A network as it serves, and golden instances (N, …) of its input."""

    net: nn.Module
    instances: NDArray[Any]
    keep_instances: bool = False  # in engines-golden.npz, for an archive without golden cases


def write(
    source: ExportInput,
    model_dir: Path,
    *,
    request_response: str,
    precision: str = FP32,
    limits: Mapping[str, Limit] = LIMITS,
) -> Record:
    """Write model.onnx and engines.json into `model_dir`, whose weights are those of `source`.

    `precision` is what ENGINE=auto will compute in; `request_response` is the digest of the model's JSON
    Schema. Raises ExportFailed.
    """
    files = export(source.net, source.instances, model_dir)
    (model_dir / agreement.EXAMPLE).unlink(missing_ok=True)  # of an earlier export
    if source.keep_instances:
        answers = PyTorch(source.net).predict(source.instances)
        agreement.write_example(Example(source.instances, answers), model_dir)
        files = (*files, agreement.EXAMPLE)
    weights = [path.name for path in sorted(model_dir.iterdir()) if path.suffix in (".pt", ".pth")]
    if (model_dir / WEIGHTS).is_file():
        weights = [WEIGHTS, *weights]
    exported = Record(
        request_response=request_response,
        files={name: record.sha256(model_dir / name) for name in (*weights, *files)},
        exported_with={"torch": torch.__version__, _OPSET: _opset(model_dir / EXPORTED)},
        input=record.Input(str(source.instances.dtype), source.instances.shape[1:]),
        precision=precision,
        limits=limits,
        engines=(),
        auto={},
        measured_on="",
    )
    return compare_engines(exported, source, model_dir)


def compare_engines(exported: Record, source: ExportInput, model_dir: Path) -> Record:
    """Compare every engine with PyTorch, time it on this machine, and write the results to engines.json."""
    torch.set_num_threads(engines.threads())
    exact = PyTorch(source.net)
    expected = exact.predict(source.instances)
    candidates: dict[Choice, Engine] = {Choice(TORCH): exact}
    for engine, precisions in PRECISIONS.items():
        for precision in precisions:
            if engine != TORCH:
                choice = Choice(engine, precision)
                candidates[choice] = engines.load(choice, model_dir, lambda _: source.net)
    parities = tuple(
        _parity(choice, agreement.agreement(expected, engine.predict(source.instances)), exported.limits)
        for choice, engine in candidates.items()
    )
    within = [Choice(one.engine, one.precision) for one in parities if one.within]
    times = measure.times({choice: candidates[choice] for choice in within}, source.instances)
    for one in parities:
        logger.info(_line(one, times))
    exactly = [choice for choice in within if choice.precision == FP32]
    result = replace(
        exported,
        engines=parities,
        auto={FP32: measure.choose(times, exactly), BF16: measure.choose(times, within)},
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


def _line(one: Parity, times: measure.Times) -> str:
    choice = Choice(one.engine, one.precision)
    text = f"{choice}: {one.maximum_difference:g} from PyTorch, top-1 agreement {one.top1_agreement:.2%}"
    return f"{text}, {times[choice] * 1e6:.0f} µs an instance" if one.within else f"{text}: outside its limit"


def _opset(model: Path) -> str:
    import onnx  # export alone needs it

    opsets = onnx.load(model, load_external_data=False).opset_import
    return next(str(opset.version) for opset in opsets if opset.domain == "")
