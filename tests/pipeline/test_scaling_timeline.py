"""The timeline has one row for each phase of scaling, on one clock, and says which were not observed."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.aws.clock import time_scale
from pipeline.errors import AwsRefused
from pipeline.verification.container_starts import (
    LOADED,
    ContainerStart,
    ContainerStarts,
    read_container_starts,
)
from pipeline.verification.load import LoadResult
from pipeline.verification.scaling import FleetSample
from pipeline.verification.scaling_gates import ScalingRun
from pipeline.verification.scaling_timeline import (
    ScalingTimeline,
    breach,
    make_timeline,
    scaling_events,
    table_of,
)

ROSE, FELL = 100.0, 160.0


def load(*, over: tuple[int, ...] = ()) -> LoadResult:
    """Return a surge from 100 to 160 and a calm to 200; p95 is over the limit in the seconds of `over`."""
    phase: dict[str, Any] = {"requests": 9, "failures": 0, "slow": None, "achieved_rps": 9.0, "p50_ms": 9.0}
    phase |= {"p95_ms": 9.0, "p99_ms": 9.0, "max_ms": 9.0, "generator_cpu_percent": 1.0, "lag_p99_ms": 1.0}
    phase |= {"invalid": None, "errors": {}, "offered_rps": 9.0}
    spans = [("steady", 90.0, ROSE), ("surge", ROSE, FELL), ("calm", FELL, 200.0)]
    rows = [{"at": at, "requests": 9, "p95_ms": 900.0 if at in over else 9.0} for at in range(90, 200)]
    document: dict[str, Any] = {"schema": 1, "endpoint": "e", "started": 90.0, "finished": 200.0}
    document["phases"] = [phase | {"name": n, "started": a, "finished": b} for n, a, b in spans]
    document |= {"seconds": rows, "fleet": [], "identities": {}}
    return LoadResult.model_validate(
        document | {"first_answers": {"old": 91.0, "new": 131.0, "newer": 133.0}}
    )


def at(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def alarm(epoch: float, which: str, state: str) -> dict[str, Any]:
    return {"Timestamp": at(epoch), "AlarmName": f"TargetTracking-e-{which}-1", "HistorySummary": f"Alarm updated from OK to {state}"}  # fmt: skip


EVENTS = scaling_events(
    [alarm(190, "AlarmLow", "ALARM"), alarm(112, "AlarmHigh", "ALARM"), alarm(140, "AlarmHigh", "OK"), alarm(70, "AlarmHigh", "ALARM")],
    [{"StartTime": at(191), "Description": "Setting desired instance count to 2."}, {"StartTime": at(113), "Description": "Setting desired instance count to 4."}],
    ContainerStarts((ContainerStart(95, 96), ContainerStart(125, 129), ContainerStart(126, 128), ContainerStart(170, 172))),
)  # fmt: skip
RUN = ScalingRun(
    samples=tuple(
        FleetSample(float(t), "InService", 2 if t < 134 or t > 196 else 4, 2 if t > 196 else 4)
        for t in range(90, 200)
    ),
    instances=2, rose_at=ROSE, fell_at=FELL, requests=99, lost=0,
)  # fmt: skip


def made(result: LoadResult, scale: float | None = 30.0) -> ScalingTimeline:
    breached_at, recovered_at = breach(result, result.phase("surge"), 500)
    scaling = replace(RUN, breached_at=breached_at, recovered_at=recovered_at)
    return make_timeline(scaling, result, EVENTS, policy="hold 3000", scale=scale)


def seconds(found: ScalingTimeline) -> dict[str, float | None]:
    return {row.phase: row.seconds for row in found.rows}


def test_every_phase_has_its_row_from_the_source_that_knows_it() -> None:
    assert seconds(made(load(over=(105, 106, 111, 116, 120, 130)))) == {
        "the load rose": 0, "p95 over the limit": 5, "alarm": 12, "scaling decision": 13,
        "instance started": None, "image and weights there": 25, "model loaded": 28,
        "first answer of a new instance": 31, "more instances InService": 34, "p95 back under the limit": 21,
        "the load fell": 0, "alarm for too many": 30, "scale-in begun": 31, "back at the minimum": 37,
    }  # fmt: skip


def test_what_was_not_seen_is_none_and_not_nought() -> None:
    found = made(load())

    assert seconds(found)["p95 over the limit"] is None
    assert seconds(found)["p95 back under the limit"] is None
    assert any("not seen" in line for line in table_of(found))


def test_a_breach_that_lasts_to_the_end_is_not_back() -> None:
    result = load(over=tuple(range(150, 160)))

    assert breach(result, result.phase("surge"), 500) == (150, None)


def test_the_longest_breach_counts_and_not_a_hiccup_beside_it() -> None:
    result = load(over=(102, 110, 112, 117, 150))

    assert breach(result, result.phase("surge"), 500) == (110, 118)


def test_the_sizes_that_autoscaling_set_are_read_from_its_words() -> None:
    assert EVENTS.sizes(since=0) == (4, 2)
    assert EVENTS.sizes(since=150) == (2,)


def test_awss_seconds_are_given_only_where_the_scale_is_known_and_marked_as_settings() -> None:
    known, unknown, real = made(load(), 30.0), made(load(), None), made(load(), 1.0)

    assert [row.aws_seconds for row in known.rows if row.phase == "alarm"] == [360]
    assert {row.aws_seconds for row in unknown.rows} == {None}
    assert {row.kind for row in known.rows if row.phase in ("alarm", "scaling decision")} == {"model setting"}
    kinds = {row.phase: row.kind for row in real.rows}
    assert kinds.pop("instance started") == "not observable", "AWS does not report it either"
    assert set(kinds.values()) == {"measured here"}, "on AWS itself nothing is a model's"


@pytest.mark.parametrize(
    ("environ", "scale"),
    [
        ({}, 1.0),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, None),
        ({"AWS_ENDPOINT_URL_SAGEMAKER": "http://127.0.0.1:1"}, None),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_SECONDS_PER_SECOND": "30"}, 30.0),
    ],
)
def test_the_scale_of_time_is_said_or_awss_own_or_not_known(
    environ: dict[str, str], scale: float | None
) -> None:
    assert time_scale(environ) == scale


class FakeLogs:
    """CloudWatch Logs with these streams: (made at, lines)."""

    def __init__(self, **streams: tuple[float, list[tuple[float, str]]]) -> None:
        self.streams = streams
        self.refuses = False

    def find(self, service: str, operation: str, /, **params: Any) -> dict[str, Any] | None:
        assert (service, operation) == ("logs", "describe_log_streams")
        assert params["logGroupName"] == "/aws/sagemaker/Endpoints/e"
        if self.refuses:
            raise AwsRefused("logs", code="AccessDeniedException", message="no", fix="allow it")
        made = [(name.replace("_", "/"), at) for name, (at, _) in self.streams.items()]
        return {"logStreams": [{"logStreamName": name, "creationTime": int(at * 1000)} for name, at in made]}

    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        assert (service, operation, params["startFromHead"]) == ("logs", "get_log_events", True)
        _, lines = self.streams[params["logStreamName"].replace("/", "_")]
        return {"events": [{"timestamp": int(at * 1000), "message": text} for at, text in lines]}


def test_a_containers_log_says_when_it_began_and_when_its_model_was_loaded() -> None:
    logs = FakeLogs(
        A_new=(1012, [(1010, "serve: 2 workers"), (1011, "serve: engine torch fp32"), (1014, f"{LOADED}\n")]),
        A_other=(1011, [(1009, "a container of somebody else")]),
        A_old=(900, [(1020, LOADED)]),
        A_before=(999, [(998, "began before the load rose")]),
        A_silent=(1013, []),
        B_new=(1012, [(1011, "another variant")]),
    )

    found = read_container_starts("e", "A", logs, since=1000)

    assert found == ContainerStarts((ContainerStart(1009, None), ContainerStart(1010, 1014)))


def test_logs_that_may_not_be_read_leave_rows_that_say_so() -> None:
    logs = FakeLogs()
    logs.refuses = True
    starts = read_container_starts("e", "A", logs, since=1000)
    found = make_timeline(RUN, load(), replace(EVENTS, starts=starts), policy="hold 3000", scale=30.0)

    rows = {row.phase: row for row in found.rows}
    assert rows["model loaded"].seconds is None
    assert (
        rows["model loaded"].source == "/aws/sagemaker/Endpoints/e could not be read: AccessDeniedException"
    )


def test_what_the_container_says_once_its_model_is_loaded_is_what_the_ledger_looks_for() -> None:
    worker = Path(__file__).parents[2] / "container/src/serving/http/worker.py"

    assert f'print("{LOADED}", flush=True)' in worker.read_text()
