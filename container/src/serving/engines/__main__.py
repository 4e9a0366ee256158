"""Export a model for the other engines, or measure them again.

    python -m serving.engines export|measure MODEL_DIRECTORY

`export` writes model.onnx and engines.json beside the weights. `measure` compares and times the engines
again, on this machine and in this image, and writes the new choice into engines.json. In the image:

    docker run --rm -v "$PWD/model:/opt/ml/model" IMAGE python -m serving.engines export /opt/ml/model

The inputs are the requests of the archive's golden cases. An archive with code/inference.py may have --example
instead, a request that its input_fn accepts; its model_fn has to return a network with one tensor in and one
tensor out.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from digits.project import DIGITS
from serving.engines import PRECISIONS, archive, record
from serving.engines.agreement import Limit
from serving.engines.export import ExportFailed
from serving.handlers import export_input
from serving.handlers.errors import CannotLoad
from serving.platform.console import log_to_stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    log_to_stdout("engines: ")
    given = _parser().parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    directory: Path = given.model_directory
    example = export_input.Example(given.example, given.content_type) if given.example else None
    try:
        made = _export(given, example) if given.command == "export" else _measure(directory, example)
    except (CannotLoad, ExportFailed, record.BadArchive, export_input.NothingToExport) as error:
        print(f"engines: {error}", file=sys.stderr)
        return 1
    print(f"engines: ENGINE=auto takes {made.auto[made.precision]}, as measured on {made.measured_on}")
    return 0


def _export(given: argparse.Namespace, example: export_input.Example | None) -> record.Record:
    """Export; limits that are not given are those of an earlier record, if there is one."""
    directory: Path = given.model_directory
    before = record.read(directory)
    limits = {**(before.limits if before else archive.LIMITS), **dict(given.limit)}
    source = export_input.read(directory, example, DIGITS)
    return archive.write(
        source, directory,
        request_response=DIGITS.interface_digest, precision=given.precision, limits=limits,
    )  # fmt: skip


def _measure(directory: Path, example: export_input.Example | None) -> record.Record:
    before = record.read(directory)
    if before is None:
        raise record.BadArchive(f"{directory}: there is no {record.FILE} to measure again; export first")
    record.verify(before, directory)
    source = export_input.read(directory, example, DIGITS)
    return archive.compare_engines(before, source, directory)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.engines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("export", "write model.onnx and engines.json"),
        ("measure", "compare and time the engines on this machine, and record the new choice"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("model_directory", type=Path)
        command.add_argument("--threads", type=int, default=1, help="engine threads of a worker (default: 1)")
        command.add_argument(
            "--example", type=Path, help="a request to code/inference.py, in place of golden cases"
        )
        command.add_argument("--content-type", default="application/json", help="of the example")
        if name == "export":
            command.add_argument(
                "--precision", default="fp32", choices=("fp32", "bf16"),
                help="what ENGINE=auto may compute in (default: fp32)",
            )  # fmt: skip
            command.add_argument(
                "--limit", type=_limit, action="append", default=[], metavar="PRECISION=DIFFERENCE,AGREEMENT",
                help="how far from PyTorch an engine may be, such as bf16=0.05,0.99",
            )  # fmt: skip
    return parser


def _limit(text: str) -> tuple[str, Limit]:
    try:
        precision, _, numbers = text.partition("=")
        difference, agreement = map(float, numbers.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected such as bf16=0.05,0.99, got {text!r}") from None
    if precision not in {one for known in PRECISIONS.values() for one in known}:
        raise argparse.ArgumentTypeError(f"expected fp32 or bf16 before the =, got {precision!r}")
    return precision, Limit(difference, agreement)


if __name__ == "__main__":
    sys.exit(main())
