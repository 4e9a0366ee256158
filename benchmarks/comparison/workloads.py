"""The workloads: a request for every server, and the check of its answer before the measurement."""

import hashlib
import importlib.util
import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import golden
from golden import Case, Comparison, Expected, Request

ROOT = Path(__file__).parents[2]
LOCAL_TEST = ROOT / "container" / "local_test"
DIGITS_MODEL = LOCAL_TEST / "opt" / "ml" / "model"
ENCODER = LOCAL_TEST / "examples" / "encoder"
TOLERANCES = {"fp32": 1e-3, "bf16": 2e-2}  # largest difference of a number in an answer
TEXT = (
    "A request of workload M is one text of at least one hundred and twenty-eight bytes, "
    "so that each of the encoder's tokens is a real one."
)
FIELDS = ("predictions", "embeddings")
ENCODER_TITLE = "M, an encoder of 6 layers, 384 wide, 128 tokens"


@dataclass(frozen=True)
class Workload:
    """One request, sent repeatedly, and the expected numbers of its answer."""

    name: str
    title: str
    kind: str  # digits or encoder, for programs/workload.py
    body: bytes
    concurrencies: tuple[int, ...]
    model_dir: Path
    network: Path  # the file with the network's class
    expected: NDArray[np.float64]
    dtype: str = "float32"  # of the network, where PyTorch computes

    def problem(self, answer: bytes, precision: str = "fp32") -> str | None:
        """Return the error of an answer; None if it is correct."""
        try:
            got = np.array(_numbers(json.loads(answer)), dtype=np.float64)
        except (ValueError, TypeError, KeyError, StopIteration) as error:
            return f"not an answer: {type(error).__name__}: {error}: {answer[:200]!r}"
        if got.shape != self.expected.shape:
            return f"expected numbers of shape {self.expected.shape}, got {got.shape}"
        precision = "bf16" if self.dtype == "bfloat16" else precision
        difference = float(np.abs(got - self.expected).max())
        if not difference <= TOLERANCES[precision]:
            return f"differs by {difference:.2g}, more than {TOLERANCES[precision]:g} for {precision}"
        return None

    def environ(self) -> dict[str, str]:
        """Return the environment variables that programs/workload.py reads."""
        return {
            "WORKLOAD": self.kind,
            "MODEL_DIR": str(self.model_dir),
            "NETWORK": str(self.network),
            "DTYPE": self.dtype,
        }


def all_workloads(cache: Path) -> dict[str, Workload]:
    """Return every workload by name; the model that one needs is made in `cache`."""
    archive = cache / f"encoder-{_hash_of(ENCODER, ROOT / 'container' / 'src' / 'serving' / 'engines')}"
    found = [
        digits("T1", 1, (1, 8, 32, 128)),
        digits("T32", 32, (8, 32)),
        encoder(archive),
        *(batched_encoder(archive, dtype) for dtype in ("float32", "bfloat16")),
    ]
    return {workload.name: workload for workload in found}


def digits(name: str, instances: int, concurrencies: tuple[int, ...]) -> Workload:
    """Return a workload of the digits model; its golden cases have the expected answers."""
    cases = golden.read(DIGITS_MODEL / golden.FILE).cases[:instances]
    return Workload(
        name,
        f"T, the digits model, {instances} instance{'s' if instances > 1 else ''} a request",
        "digits",
        json.dumps({"instances": [json.loads(case.request.body)["instances"][0] for case in cases]}).encode(),
        concurrencies,
        DIGITS_MODEL,
        Path(__file__).parent / "programs" / "digits_network.py",
        np.array([case.expected.document["predictions"][0]["probabilities"] for case in cases]),
    )


def encoder(directory: Path) -> Workload:
    """Return the workload of the text encoder, whose model is made in `directory`; PyTorch gives its expected answer."""
    if not (directory / "engines.json").is_file():
        runpy.run_path(str(ENCODER / "prepare.py"))["write"](directory)
        _export(directory)
    return Workload(
        "M",
        ENCODER_TITLE,
        "encoder",
        json.dumps({"inputs": [TEXT]}).encode(),
        (8, 32),
        directory,
        directory / "code" / "encoder.py",
        _reference(directory, [TEXT]),
    )


def batched_encoder(archive: Path, dtype: str) -> Workload:
    """Return the workload of the encoder for servers that batch, computed by PyTorch in `dtype`.

    Its archive has golden cases, so that our server batches its program.
    """
    directory = archive.with_name(f"{archive.name}-{dtype}")
    if not (directory / golden.FILE).is_file():
        directory.mkdir(exist_ok=True)
        shutil.copy(archive / "model.safetensors", directory)
        shutil.copytree(archive / "code", directory / "code", dirs_exist_ok=True)
        program = directory / "code" / "inference.py"
        text = program.read_text().replace("return model.eval()", f"return model.eval().to(torch.{dtype})")
        program.write_text(text)
        golden.write(_golden_cases(directory, dtype), directory / golden.FILE)
    name = "MB" if dtype == "float32" else "MB16"
    return Workload(
        name,
        f"{ENCODER_TITLE}, in batches, {dtype}",
        "encoder",
        json.dumps({"inputs": [TEXT]}).encode(),
        (8, 32, 128),
        directory,
        directory / "code" / "encoder.py",
        _reference(directory, [TEXT]),
        dtype,
    )


def _golden_cases(directory: Path, dtype: str) -> list[Case]:
    """Make cases of one and of two texts, with PyTorch's answers in float32 and the tolerance of `dtype`."""
    comparison = Comparison("json", absolute=1e-4 if dtype == "float32" else TOLERANCES["bf16"])
    return [
        Case(
            Request(json.dumps({"inputs": texts}).encode()),
            Expected(
                json.dumps({"embeddings": _reference(directory, texts).tolist()}).encode(),
                comparison=comparison,
            ),
        )
        for texts in ([TEXT], ["another text", TEXT[::-1]])
    ]


def _hash_of(*folders: Path) -> str:
    """Return a hash of the Python files from which an archive is made."""
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _export(directory: Path) -> None:
    """Export the model for the other engines, as a team would for its own; allow bf16."""
    command = [sys.executable, "-m", "serving.engines", "export", str(directory), "--precision", "bf16"]
    command += ["--example", str(ENCODER / "requests" / "three-texts.json")]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "container" / "src")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")


def _reference(directory: Path, texts: list[str]) -> NDArray[np.float64]:
    import torch
    from safetensors.torch import load_file

    spec = importlib.util.spec_from_file_location("reference_encoder", directory / "code" / "encoder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.Encoder().eval()
    model.load_state_dict(load_file(directory / "model.safetensors"))
    with torch.inference_mode():
        vectors: NDArray[np.float64] = model(module.tokens(texts)).double().numpy()
    return vectors


def _numbers(answer: Any) -> Sequence[Any]:
    """Return the rows of numbers of an answer; BentoML sends a bare list instead of an object."""
    if isinstance(answer, dict):
        answer = next(answer[field] for field in FIELDS if field in answer)
    return [row["probabilities"] if isinstance(row, dict) else row for row in answer]
