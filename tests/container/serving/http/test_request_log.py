"""The log: a line for every error and slow request, a sample of the rest, and nothing but JSON."""

import json
import logging
import random

import pytest

from serving.http.invocation import Invocation
from serving.http.request_log import LineLimit, RequestLog, from_environ
from serving.platform.identity import Identity
from serving.platform.json_logging import JsonLines
from serving.platform.limits import BadLimit

IDENTITY = Identity("abc-123", "0123456789ab")


def lines_of(
    invocations: list[Invocation], sample: float, slow_ms: float = 1000.0
) -> list[dict[str, object]]:
    lines: list[str] = []
    chance = random.Random(7).random
    log = RequestLog(IDENTITY, sample, slow_ms, lines.append, chance)
    for invocation in invocations:
        log.record(invocation)
    return [json.loads(line) for line in lines]


def invocation(status: int = 200, seconds: float = 0.001) -> Invocation:
    return Invocation("mine", status=status, instances=2, batch=3, seconds=[0.0001, 0.0002, seconds, 0.0003])


def test_a_line_says_who_what_and_where_the_time_went() -> None:
    [line] = lines_of([invocation()], sample=1)

    assert str(line.pop("time")).endswith("Z")
    assert isinstance(line.pop("worker"), int)
    assert line == {
        "level": "info", "event": "invocation", "status": 200, "release": "abc-123", "instance": "0123456789ab",
        "inference_id": "mine", "total_ms": 1.6, "queue_ms": 0.1, "decode_ms": 0.2, "predict_ms": 1.0,
        "encode_ms": 0.3, "instances": 2, "batch": 3, "server": "flask",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "level"),
    [(invocation(400), "warning"), (invocation(500), "error"), (invocation(seconds=2.0), "info")],
)
def test_errors_and_slow_requests_are_written_whatever_the_sample(one: Invocation, level: str) -> None:
    assert [line["level"] for line in lines_of([one] * 10, sample=0)] == [level] * 10


def test_a_flood_of_slow_requests_is_ten_lines_a_second_and_the_next_says_how_many_were_left_out() -> None:
    """In an overload every request is slow: lines for all of them would make it worse."""
    lines: list[str] = []
    clock = [100.0]
    log = RequestLog(IDENTITY, 0, 1000, lines.append, slow=LineLimit(10, lambda: clock[0]))
    for clock[0] in (100.0, 100.9, 101.0):
        for _ in range(20):
            log.record(invocation(seconds=2.0))
    log.record(invocation(500))

    told = [json.loads(line).get("slow_left_out") for line in lines]
    assert told == [None] * 10 + [30] + [None] * 9 + [10], "errors are never left out"


def test_of_the_rest_a_share_is_written() -> None:
    good = [invocation()] * 10_000

    assert lines_of(good, sample=0) == []
    assert len(lines_of(good, sample=1)) == 10_000
    assert 60 <= len(lines_of(good, sample=0.01)) <= 140


def test_an_error_that_ended_early_has_the_parts_it_had() -> None:
    early = Invocation(status=400, error="body: no")
    early.lap()
    early.end()

    [line] = lines_of([early], sample=0)

    assert line["error"] == "body: no"
    assert [name for name in line if name.endswith("_ms")] == ["total_ms", "queue_ms", "decode_ms"]


def test_pythons_own_logging_has_the_same_form_with_its_traceback() -> None:
    error = ValueError("of\nlines")
    record = logging.LogRecord("mine", logging.ERROR, "", 1, "it %s", ("broke",), (ValueError, error, None))

    line = json.loads(JsonLines().format(record))

    assert (line["level"], line["logger"], line["message"]) == ("error", "mine", "it broke")
    assert "ValueError: of\nlines" in line["traceback"]


def test_by_default_one_in_a_hundred_and_what_takes_a_second() -> None:
    log = from_environ({}, IDENTITY)

    assert (log.sample, log.slow_ms) == (0.01, 1000.0)
    assert from_environ({"LOG_SAMPLE": "0", "LOG_SLOW_MS": "50"}, IDENTITY).slow_ms == 50


@pytest.mark.parametrize("share", ["1.5", "-1", "nan", "some"])
def test_a_share_that_is_none_is_refused_by_name(share: str) -> None:
    with pytest.raises(BadLimit, match="LOG_SAMPLE: expected a number from 0 to 1, got"):
        from_environ({"LOG_SAMPLE": share}, IDENTITY)
