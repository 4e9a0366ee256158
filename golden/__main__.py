"""`python -m golden`: record a golden set from a model's own answers, and check a model or an endpoint by one."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from golden.cases import Answer, Case, GoldenError, GoldenSet, Request
from golden.comparer import first_difference, shown
from golden.files import FILE, read, serialize, write
from golden.local_server import serve
from golden.recording import ABSOLUTE, RELATIVE, Recorded, described, record_case
from golden.request_files import read_requests


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 1 if an answer is not the golden one, 2 if nothing could be compared."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except GoldenError as error:
        print(f"golden: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; nothing was written, nothing is left running.", file=sys.stderr)
        return 130
    return code


def _record(arguments: argparse.Namespace) -> int:
    requests = read_requests(arguments.requests, content_type=arguments.content_type, accept=arguments.accept)
    answers: list[list[Answer]] = [[] for _ in requests]
    for number in range(arguments.instances):
        with serve(arguments.model, image=arguments.image) as server:
            print(
                f"instance {number + 1} of {arguments.instances} is ready: {len(requests)} requests",
                flush=True,
            )
            for _ in range(arguments.askings):
                for case, so_far in zip(requests, answers, strict=True):
                    so_far.append(server.ask(case.request))
    found = [_recorded(case, given, arguments) for case, given in zip(requests, answers, strict=True)]
    failed = [each.case for each in found if not each.case.is_answered]
    if failed and not arguments.allow_errors:
        raise GoldenError(
            f"{len(failed)} of {len(found)} requests were refused, the first, {failed[0].name}, "
            f"with {failed[0].expected.status}: {shown(failed[0].expected.body or b'')}",
            fix="Correct or remove them, or give --allow-errors if the refusal is the right answer.",
        )
    cases = [each.case for each in found]
    write(cases, arguments.out)
    golden_set = read(arguments.out)
    print(f"{arguments.out}: {len(cases)} golden cases, {len(serialize(cases)):,} bytes")
    _print_note(golden_set)
    return 0


def _recorded(case: Case, answers: Sequence[Answer], arguments: argparse.Namespace) -> Recorded:
    """Make a golden case, and show request and answer."""
    found = record_case(case, answers, absolute=arguments.absolute, relative=arguments.relative)
    expected = found.case.expected
    print(f"{case.name}: {_described(case.request)}")
    print(f"  → {expected.status} {expected.content_type} {shown(answers[0].body)}")
    compared = described(expected.comparison) if expected.body is not None else "by status alone"
    print(f"  {len(answers)} answers, {found.remark or f'compared {compared}'}", flush=True)
    return found


def _check(arguments: argparse.Namespace) -> int:
    if bool(arguments.model) == bool(arguments.endpoint):
        raise GoldenError("Name one thing to check.", fix="Give a model archive, or --endpoint NAME.")
    named = read(arguments.golden) if arguments.golden else None
    if arguments.endpoint:
        from golden import live_endpoint  # it needs boto3

        endpoint = live_endpoint.LiveEndpoint(arguments.endpoint)
        return _compare(named or live_endpoint.golden_set_of(arguments.endpoint), endpoint.ask)
    with serve(arguments.model, image=arguments.image) as server:
        chosen = named or server.golden_set
        if chosen is None:
            fix = f"Record one: python -m golden record {arguments.model} REQUESTS"
            raise GoldenError(f"{arguments.model} holds no {FILE}.", fix=fix)
        return _compare(chosen, server.ask)


def _compare(golden_set: GoldenSet, ask: Callable[[Request], Answer]) -> int:
    """Ask every case, print a table, and return the exit code."""
    differences = [(n, first_difference(case, ask(case.request))) for n, case in enumerate(golden_set)]
    for number, difference in differences:
        print(f"{golden_set.label(number)}: {difference or 'ok'}")
    wrong = sum(difference is not None for _, difference in differences)
    print(f"{len(differences) - wrong} of {len(differences)} golden cases are answered right")
    _print_note(golden_set)
    return 1 if wrong else 0


def _print_note(golden_set: GoldenSet) -> None:
    if golden_set.note:
        print(golden_set.note)


def _described(request: Request) -> str:
    return f"{request.content_type}, {len(request.body):,} bytes, {shown(request.body)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m golden", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    record = commands.add_parser(
        "record",
        help="serve a model on this machine, ask it, and write the golden set",
        description="Start the model several times, ask each instance every request several times, and write requests and answers as golden cases.",
    )
    record.add_argument(
        "model", type=Path, metavar="MODEL", help="a model.tar.gz, or a folder with its content"
    )
    record.add_argument(
        "requests", type=Path, nargs="+", metavar="REQUESTS",
        help="a folder with a file for each request, or files: .json, .jsonl (one a line), .csv, .npy, .txt, .png …; "
        "NAME.content-type and NAME.accept beside a file have its media type and Accept header",
    )  # fmt: skip
    record.add_argument("--out", type=Path, default=Path(FILE), metavar="FILE", help="default: %(default)s")
    record.add_argument("--content-type", default="", metavar="TYPE", help="of every request")
    record.add_argument("--accept", default="", metavar="TYPE", help="the Accept header; default: none")
    record.add_argument(
        "--absolute", type=_tolerance, default=ABSOLUTE, metavar="X",
        help="how far a number may be from the golden one, default: %(default)g",
    )  # fmt: skip
    record.add_argument(
        "--relative", type=_tolerance, default=RELATIVE, metavar="X",
        help="and this times the golden number, default: %(default)g",
    )  # fmt: skip
    record.add_argument(
        "--askings", type=_count, default=3, metavar="N", help="of each instance, default: %(default)s"
    )
    record.add_argument(
        "--instances", type=_count, default=2, metavar="N",
        help="how often the model is started, one worker each, default: %(default)s",
    )  # fmt: skip
    record.add_argument("--allow-errors", action="store_true", help="a refusal (4xx) is a golden answer too")
    record.set_defaults(run=_record)
    check = commands.add_parser(
        "check",
        help="ask the golden requests, compare, and exit with 1 if an answer differs",
        description="Ask a model on this machine, or a live endpoint, and compare every answer with the golden one.",
    )
    check.add_argument("model", type=Path, nargs="?", metavar="MODEL", help="a model.tar.gz, or a folder")
    check.add_argument("--endpoint", metavar="NAME", help="a live endpoint instead of a model")
    check.add_argument("--golden", type=Path, metavar="FILE", help="default: the set in the model's archive")
    check.set_defaults(run=_check)
    for command in (record, check):
        command.add_argument(
            "--image", default="", help="serve in a container of this image; default: this Python"
        )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _tolerance(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
