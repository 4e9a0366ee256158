"""InService alone is no success: what a deployment came to is read from config, answers and alarms."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import pytest

from golden import Case, Expected, GoldenSet, Request
from pipeline.aws import Answer
from pipeline.deployment.bake import BakeSmoke
from pipeline.deployment.diagnosis import alarm_reason, recent_logs
from pipeline.deployment.endpoint_state import State, state_of
from pipeline.deployment.live import CALLS_PER_LOOK, PROOF_SECONDS, Waiter
from pipeline.deployment.progress import progress_line, time_left
from pipeline.errors import (
    AwsRefused,
    DeploymentFailed,
    DeploymentRolledBack,
    DeploymentTimedOut,
    ReleaseUnproved,
)
from tests.pipeline.clocks import AtOnce, FakeClock

NEW, OLD = "digits-new", "digits-old"
BOUND = 600.0
GOLDEN = GoldenSet((Case(Request(b"{}"), Expected(b"{}")),), digest="0" * 64)


def endpoint(status: str, config: str = OLD, count: int = 2, **more: Any) -> dict[str, Any]:
    variants = [{"VariantName": "AllTraffic", "CurrentInstanceCount": count}]
    return {"EndpointStatus": status, "EndpointConfigName": config, "ProductionVariants": variants, **more}


@dataclass
class FakeEndpoint:
    """An AWS that answers from a list; its last answer holds. `answers` are (release, instance) pairs."""

    descriptions: list[dict[str, Any] | None]
    answers: Iterator[tuple[str, str]] = field(
        default_factory=lambda: cycle([("new", "one"), ("new", "two")])
    )
    alarm_states: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False
    asked: int = 0
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def describe_endpoint(self, _: str, /) -> dict[str, Any] | None:
        return self.descriptions.pop(0) if len(self.descriptions) > 1 else self.descriptions[0]

    def alarms(self, *, prefix: str = "") -> list[dict[str, Any]]:
        return [alarm for alarm in self.alarm_states if alarm["AlarmName"].startswith(prefix)]

    def invoke(self, *_: object) -> Answer:
        with self.one_at_a_time:
            self.asked += 1
            release, instance = next(self.answers)
        if self.broken:
            raise AwsRefused("invoke", code="ModelError", message="Received server error (500)", fix="-")
        return Answer(release, instance, b"{}")


def waiter(aws: FakeEndpoint) -> Waiter:
    return Waiter(
        aws=aws,
        endpoint="digits",
        config=NEW,
        release="new",
        golden=GOLDEN,
        alarm_prefix=f"digits/{NEW}/",
        clock=FakeClock(),
        callers=AtOnce,
    )


@pytest.mark.parametrize(
    ("described", "state"),
    [
        (None, State.GONE),
        (endpoint("Creating", NEW), State.MOVING),
        (endpoint("Updating"), State.MOVING),
        (endpoint("RollingBack"), State.MOVING),
        (endpoint("SystemUpdating"), State.MOVING),
        (endpoint("InService", NEW), State.IN_SERVICE),
        (endpoint("InService", OLD), State.ELSEWHERE),
        (endpoint("Failed", NEW), State.FAILED),
        (endpoint("UpdateRollbackFailed", NEW), State.FAILED),
        (endpoint("OutOfService", NEW), State.FAILED),
        (endpoint("Deleting", NEW), State.FAILED),
    ],
)
def test_a_description_is_read_against_the_wanted_config(
    described: dict[str, Any] | None, state: State
) -> None:
    assert state_of(described, NEW) is state


def test_an_update_that_ends_on_the_wanted_config_is_in_service() -> None:
    aws = FakeEndpoint([endpoint("Updating"), endpoint("Updating"), endpoint("InService", NEW)])

    assert waiter(aws).until_in_service(BOUND, had_traffic=True) == endpoint("InService", NEW)


def test_in_service_on_the_old_config_is_a_rollback_that_names_alarm_and_reason() -> None:
    alarms = [
        {"AlarmName": f"digits/{NEW}/5xx-errors", "StateValue": "ALARM", "StateReason": "1.0 > 0.01"},
        {"AlarmName": f"digits/{OLD}/p99-latency", "StateValue": "ALARM", "StateReason": "not ours"},
    ]
    aws = FakeEndpoint(
        [endpoint("Updating"), endpoint("InService", FailureReason="the alarm fired")], alarm_states=alarms
    )

    with pytest.raises(DeploymentRolledBack) as caught:
        waiter(aws).until_in_service(BOUND, had_traffic=True)
    assert "InService on digits-old, not on digits-new" in str(caught.value)
    assert "Alarm 5xx-errors: 1.0 > 0.01" in str(caught.value)
    assert "FailureReason: the alarm fired" in str(caught.value)
    assert "not ours" not in str(caught.value)


class Forgetting(FakeClock):
    """A clock that empties a list as soon as time passes."""

    def __init__(self, listed: list[dict[str, Any]]) -> None:
        super().__init__()
        self.listed = listed

    def sleep(self, seconds: float) -> None:
        self.listed.clear()
        super().sleep(seconds)


def test_an_alarm_that_is_quiet_again_after_the_rollback_is_still_named() -> None:
    """Without the failed fleet's traffic it soon is OK again."""
    aws = FakeEndpoint([endpoint("Updating"), endpoint("Updating"), endpoint("InService")])
    aws.alarm_states = [
        {"AlarmName": f"digits/{NEW}/5xx-errors", "StateValue": "ALARM", "StateReason": "1 > 0.01"}
    ]
    wait = waiter(aws)
    wait.clock = Forgetting(aws.alarm_states)

    with pytest.raises(DeploymentRolledBack, match="Alarm 5xx-errors"):
        wait.until_in_service(BOUND, had_traffic=True)


def test_a_rollback_without_alarm_or_reason_says_so() -> None:
    aws = FakeEndpoint([endpoint("Updating"), endpoint("InService")])

    with pytest.raises(DeploymentRolledBack, match="AWS gives no reason, and no alarm was seen"):
        waiter(aws).until_in_service(BOUND, had_traffic=True)


def test_a_description_older_than_the_update_is_no_rollback() -> None:
    """Reads are eventually consistent: right after UpdateEndpoint the old state may still be shown."""
    aws = FakeEndpoint(
        [endpoint("InService"), endpoint("InService"), endpoint("Updating"), endpoint("InService", NEW)]
    )

    assert waiter(aws).until_in_service(BOUND, had_traffic=True)["EndpointConfigName"] == NEW


def test_a_rollback_too_quick_to_be_seen_moving_is_found_after_the_grace() -> None:
    with pytest.raises(DeploymentRolledBack):
        waiter(FakeEndpoint([endpoint("InService")])).until_in_service(BOUND, had_traffic=True)


@pytest.mark.parametrize("status", ["Failed", "UpdateRollbackFailed"])
def test_a_failed_endpoint_is_a_failure_with_its_reason(status: str) -> None:
    aws = FakeEndpoint(
        [endpoint("Creating", NEW), endpoint(status, NEW, FailureReason="did not pass the ping")]
    )

    with pytest.raises(DeploymentFailed, match=f"is {status}: did not pass the ping"):
        waiter(aws).until_in_service(BOUND, had_traffic=False)


def test_an_endpoint_deleted_meanwhile_is_a_failure() -> None:
    with pytest.raises(DeploymentFailed, match="is gone"):
        waiter(FakeEndpoint([endpoint("Updating"), None])).until_in_service(BOUND, had_traffic=True)


def test_the_wait_is_bounded() -> None:
    wait = waiter(FakeEndpoint([endpoint("Updating")]))

    with pytest.raises(DeploymentTimedOut, match="after 600 s"):
        wait.until_in_service(BOUND, had_traffic=True)
    assert BOUND < wait.clock.monotonic() < BOUND + 10


def test_a_canary_is_asked_while_it_bakes() -> None:
    """Without traffic there is no data, and alarms without data let anything pass."""
    aws = FakeEndpoint([*[endpoint("Updating")] * 5, endpoint("InService", NEW)])
    waiter(aws).until_in_service(BOUND, had_traffic=True)

    assert aws.asked == 11, "four a second, for the pauses of five looks"


def moving(message: str, now: int, weight: float | None = None, since: float = 0.0) -> dict[str, Any]:
    began = datetime.fromtimestamp(since, UTC)
    variant: dict[str, Any] = {
        "CurrentInstanceCount": now,
        "DesiredInstanceCount": 2,
        "VariantStatus": [{"Status": "Baking", "StatusMessage": message, "StartTime": began}],
    }
    if weight is not None:
        variant |= {"CurrentWeight": weight, "DesiredWeight": 2.0}
    pending = {"EndpointConfigName": NEW, "ProductionVariants": [variant], "StartTime": began}
    return endpoint("Updating", PendingDeploymentSummary=pending)


class Noon(FakeClock):
    """A clock whose time of day is always the same."""

    def now(self) -> float:
        return 100.0


def test_progress_is_said_once_for_each_change(said: Callable[[], list[str]]) -> None:
    aws = FakeEndpoint(
        [
            moving("Launching", 0),
            moving("Launching", 0),
            moving("Baking", 2, 1.0),
            endpoint("InService", NEW),
        ],
        alarm_states=[{"AlarmName": f"digits/{NEW}/5xx-errors", "StateValue": "OK"}],
    )
    wait = waiter(aws)
    wait.limit_seconds, wait.clock = 600.0, Noon()
    wait.until_in_service(BOUND, had_traffic=True)

    assert [line.split("  ")[-1] for line in said()] == [
        "Updating · 0/2 new instances · Launching · alarms: 1 OK · time-out in 500 s",
        "Updating · 2/2 new instances · 50 % of the traffic · Baking · alarms: 1 OK · time-out in 500 s",
    ]


def test_progress_is_said_again_each_minute(said: Callable[[], list[str]]) -> None:
    wait = waiter(FakeEndpoint([moving("Launching", 0)]))
    with pytest.raises(DeploymentTimedOut):
        wait.until_in_service(300.0, had_traffic=False)

    assert len(said()) == 5


@pytest.mark.parametrize(("scale", "left"), [(1.0, "bake over in 270 s"), (10.0, "bake over in 0 s")])
def test_the_time_that_is_left_is_told_in_aws_seconds(scale: float, left: str) -> None:
    described = moving("Baking for 300 seconds (TerminationWaitInSeconds) with traffic", 2, since=1000.0)

    assert time_left(described, 1030.0, 3600.0, scale).startswith(left)
    assert time_left(endpoint("InService"), 1030.0, 3600.0) == ""


def test_a_status_without_message_is_shown_by_its_name() -> None:
    described = moving("", 1)

    assert progress_line(described) == "Updating · 1/2 new instances · Baking"


def test_what_is_stuck_is_told_with_the_last_words_of_its_containers() -> None:
    """Of those started since the deployment began, which an earlier run may have done."""
    wait = waiter(FakeEndpoint([moving("Launching", 0, since=77.0)]))
    wait.recent_logs = lambda since: f"said since {since:g}: no such file"

    with pytest.raises(DeploymentTimedOut, match=r"still Updating · 0/2 .*\nsaid since 77: no such file"):
        wait.until_in_service(60.0, had_traffic=False)


def test_an_alarm_is_told_with_the_datapoints_it_judged() -> None:
    points = [
        {"timestamp": "2026-11-22T18:05:00.000+0000", "value": 0.5},
        {"timestamp": "2026-11-22T18:04:00.000+0000"},
    ]
    data = json.dumps({"threshold": 0.01, "evaluatedDatapoints": points})

    assert alarm_reason({"StateReason": "crossed", "StateReasonData": data}) == (
        "crossed [datapoints: 18:05:00 0.5; threshold 0.01]"
    )
    assert alarm_reason({"StateReason": "crossed"}) == "crossed"


@dataclass
class Logs:
    """Log streams by name, with the second they were created in."""

    streams: dict[str, float]
    is_forbidden: bool = False

    def find(self, *_: str, **__: Any) -> dict[str, Any] | None:
        if self.is_forbidden:
            raise AwsRefused("logs", code="AccessDenied", message="not yours", fix="-")
        return {
            "logStreams": [
                {"logStreamName": name, "creationTime": at * 1000} for name, at in self.streams.items()
            ]
        }

    def read(self, *_: str, **params: Any) -> dict[str, Any]:
        return {"events": [{"message": f"line {n} of {params['logStreamName']}\n"} for n in range(20)]}


def test_the_last_lines_are_those_of_containers_that_the_deployment_started() -> None:
    told = recent_logs("digits", Logs({"AllTraffic/old": 100.0, "AllTraffic/new": 1000.0}), 990.0)

    assert told.splitlines()[0] == "The last lines of AllTraffic/new:"
    assert told.splitlines()[-1] == "  | line 19 of AllTraffic/new"
    assert "old" not in told


def test_logs_that_may_not_be_read_do_not_hide_the_failure() -> None:
    assert "could not be read: AccessDenied" in recent_logs("digits", Logs({}, is_forbidden=True), 0.0)


def test_every_instance_must_have_answered_with_the_release() -> None:
    assert waiter(FakeEndpoint([endpoint("InService", NEW)])).prove() == 2


def test_the_proof_follows_a_fleet_that_grows_meanwhile() -> None:
    aws = FakeEndpoint([endpoint("InService", NEW, 2), endpoint("InService", NEW, 3)])
    aws.answers = cycle([("new", "one"), ("old", "gone"), ("new", "two"), ("new", "three")])
    aws.descriptions = [endpoint("InService", NEW, 3)]

    assert waiter(aws).prove() == 3


@pytest.mark.parametrize(
    ("answers", "broken", "problem"),
    [
        ([("new", "one")], False, "1 of 2 instances"),
        ([("old", "one"), ("old", "two")], False, r"old: 2"),
        ([("new", "one")], True, r"ModelError: Received server error \(500\)"),
    ],
)
def test_fewer_voices_than_instances_is_unproved(
    answers: list[tuple[str, str]], broken: bool, problem: str
) -> None:
    """Half a fleet that answers is not a live release, whatever the status says."""
    wait = waiter(FakeEndpoint([endpoint("InService", NEW)], cycle(answers), broken=broken))

    with pytest.raises(ReleaseUnproved, match=problem):
        wait.prove()
    assert wait.clock.monotonic() < PROOF_SECONDS + 2


def test_an_answer_without_identity_proves_nothing() -> None:
    wait = waiter(FakeEndpoint([endpoint("InService", NEW, 1)], cycle([("new", "")])))

    with pytest.raises(ReleaseUnproved):
        wait.prove()


@dataclass
class Refusing(FakeEndpoint):
    """An endpoint whose model refuses whatever it is asked; notes the requests."""

    status: int = 415
    requests: list[Request] = field(default_factory=list)

    def invoke(self, *asked: object) -> Answer:
        with self.one_at_a_time:
            self.requests += [each for each in asked if isinstance(each, Request)]
        return Answer(None, None, b"expected text/csv", self.status)


def test_an_unchecked_release_is_asked_nothing_while_it_bakes() -> None:
    """Its model may answer 500 to an invented request, and an alarm would roll it back."""
    aws = FakeEndpoint([*[endpoint("Updating")] * 5, endpoint("InService", NEW)])
    wait = waiter(aws)
    wait.golden = None
    wait.until_in_service(BOUND, had_traffic=True)

    assert aws.asked == 0


def test_an_unchecked_release_is_proved_by_an_empty_object_where_its_model_takes_one() -> None:
    wait = waiter(FakeEndpoint([endpoint("InService", NEW)]))
    wait.golden = None

    assert (wait.prove(), wait.unproved) == (2, "")


@pytest.mark.parametrize("status", [415, 500])
def test_what_an_unchecked_model_refuses_is_not_judged_and_what_is_not_proved_is_said(status: int) -> None:
    aws = Refusing([endpoint("InService", NEW)], status=status)
    wait = waiter(aws)
    wait.golden = None

    assert wait.prove() == 0
    assert wait.unproved == (
        "UNCHECKED: 0 of 2 instances are proved to serve new; asked an empty JSON object, the model answered "
        f"{status}: expected text/csv"
    )
    assert {each.body for each in aws.requests} == {b"{}"}
    assert len(aws.requests) == CALLS_PER_LOOK


def test_an_unchecked_release_that_does_not_answer_is_unproved() -> None:
    wait = waiter(FakeEndpoint([endpoint("InService", NEW)], broken=True))
    wait.golden = None

    with pytest.raises(ReleaseUnproved, match="0 of 2 instances"):
        wait.prove()


def test_a_golden_request_that_is_refused_leaves_a_release_unproved_and_is_no_success() -> None:
    wait = waiter(Refusing([endpoint("InService", NEW)]))

    with pytest.raises(ReleaseUnproved, match="the model answered 415"):
        wait.prove()


def test_golden_errors_are_asked_once_the_fleet_is_proved_and_never_while_it_bakes() -> None:
    refused = Case(Request(b"bad"), Expected(None, status=415))
    aws = Refusing([endpoint("Updating"), endpoint("Updating"), endpoint("InService", NEW)])
    wait = waiter(aws)
    wait.golden = GoldenSet((refused, *GOLDEN.cases), digest="0" * 64)
    wait.bake = BakeSmoke(wait.golden, "new")
    wait.until_in_service(BOUND, had_traffic=True)
    assert {each.body for each in aws.requests} == {b"{}"}
    wait.judge_errors()

    assert aws.requests[-1].body == b"bad"
    assert (wait.bake.judged, wait.bake.wrong) == (1, [])
    aws.status = 500
    wait.judge_errors()
    assert wait.bake.wrong == ["golden case 0: status is 500, not 415: expected text/csv"]
