"""Wait until a release is live, and prove it.

Live = InService, on the requested config, and as many distinct instances as the endpoint counts have
answered with this release's id. InService alone may be a silent rollback.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from pipeline.aws import Answer
from pipeline.errors import (
    AwsRefused,
    DeploymentFailed,
    DeploymentRolledBack,
    DeploymentTimedOut,
    ReleaseUnproved,
)
from pipeline.plan import MOVING
from pipeline.records import Say

PROOF_SECONDS = 60.0
CALLS_PER_LOOK = 4  # enough that a canary of half the fleet is hardly ever missed
GRACE_SECONDS = 10.0  # until a description shows the update that was just accepted


class EndpointDoor(Protocol):
    """What waiting and proving need of AWS."""

    def describe_endpoint(self, name: str) -> dict[str, Any] | None: ...
    def alarms(self, *, prefix: str = ...) -> list[dict[str, Any]]: ...
    def invoke(self, endpoint: str, body: bytes) -> Answer: ...


class State(Enum):
    """Where a deployment stands."""

    MOVING = auto()
    IN_SERVICE = auto()
    ELSEWHERE = auto()  # InService on another config: not begun yet, or rolled back
    FAILED = auto()
    GONE = auto()


def state_of(described: Mapping[str, Any] | None, wanted: str) -> State:
    """Read a description of the endpoint: how does it stand to the wanted config?"""
    if described is None:
        return State.GONE
    status = described["EndpointStatus"]
    if status in MOVING:
        return State.MOVING
    if status != "InService":
        return State.FAILED
    return State.IN_SERVICE if described["EndpointConfigName"] == wanted else State.ELSEWHERE


def progress_line(described: Mapping[str, Any]) -> str:
    """Say in one line what a moving endpoint is doing, by its PendingDeploymentSummary."""
    pending = described.get("PendingDeploymentSummary") or {}
    parts = [described["EndpointStatus"]]
    for variant in pending.get("ProductionVariants", []):
        counts = f"{variant.get('CurrentInstanceCount', 0)}/{variant.get('DesiredInstanceCount', '?')} new instances"
        messages = [each.get("StatusMessage") or each["Status"] for each in variant.get("VariantStatus", [])]
        parts += [counts, *messages[:1]]
    return " · ".join(parts)


def instance_count(described: Mapping[str, Any]) -> int:
    """Count the instances that the endpoint says it has."""
    return sum(int(each.get("CurrentInstanceCount", 0)) for each in described.get("ProductionVariants", []))


@dataclass
class Hearing:
    """Who has answered so far: instances by release, and what went wrong how often."""

    instances: dict[str | None, set[str]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def ask(self, aws: EndpointDoor, endpoint: str, payload: bytes) -> None:
        """Send the payload once and note who answered; an error of the model is noted, not raised."""
        try:
            answer = aws.invoke(endpoint, payload)
        except AwsRefused as error:
            self.errors[f"{error.code}: {error.message[:200]}"] += 1
        else:
            self.instances.setdefault(answer.release, set()).add(answer.instance or "")

    def heard(self, release: str) -> int:
        """How many distinct instances have answered with this release's id."""
        return len(self.instances.get(release, set()) - {""})


@dataclass
class Waiter:
    """Follows one deployment of `release` on `config`; clock and sleep are given, so tests do not wait."""

    aws: EndpointDoor
    endpoint: str
    config: str
    release: str
    payload: bytes
    alarm_prefix: str
    say: Say
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    proof_seconds: float = PROOF_SECONDS
    hearing: Hearing = field(default_factory=Hearing)
    fired: dict[str, str] = field(default_factory=dict)

    def until_in_service(self, bound_seconds: float, *, had_traffic: bool) -> dict[str, Any]:
        """Return the endpoint's description once it is InService on the config.

        While an update is under way the golden payload is sent at each look: a canary without
        traffic would pass its alarms unseen. Raises DeploymentRolledBack, DeploymentFailed or
        DeploymentTimedOut.
        """
        started, said, moved = self.clock(), "", False
        while True:
            described = self.aws.describe_endpoint(self.endpoint)
            state, waited = state_of(described, self.config), self.clock() - started
            if state is State.IN_SERVICE:
                assert described is not None
                return described
            if state in {State.FAILED, State.GONE}:
                raise self._failed(described)
            self._note_alarms()
            moved = moved or state is State.MOVING
            if state is State.ELSEWHERE and (moved or waited > GRACE_SECONDS):
                raise self._rolled_back(described or {})
            if waited > bound_seconds:
                raise self._timed_out(described or {}, bound_seconds)
            line = progress_line(described or {})
            if line != said:
                self.say(f"  {waited:5.0f} s  {line}")
                said = line
            for _ in range(CALLS_PER_LOOK if had_traffic else 0):
                self.hearing.ask(self.aws, self.endpoint, self.payload)
            self.sleep(pause_seconds(waited))

    def prove(self) -> int:
        """Return how many instances have answered with this release: as many as the endpoint counts.

        Raises ReleaseUnproved when fewer were heard within the bound.
        """
        started, wanted = self.clock(), 0
        while self.clock() - started <= self.proof_seconds:
            described = self.aws.describe_endpoint(self.endpoint) or {}
            wanted = instance_count(described)
            for _ in range(max(4 * wanted, 1)):
                if 0 < wanted <= self.hearing.heard(self.release):
                    return wanted
                self.hearing.ask(self.aws, self.endpoint, self.payload)
            self.sleep(0.2)
        raise ReleaseUnproved(
            f"{self.hearing.heard(self.release)} of {wanted} instances of {self.endpoint} answered with "
            f"release {self.release} within {self.proof_seconds:.0f} s. Heard: {self._who_was_heard()}.",
            fix=f"Read the log group /aws/sagemaker/Endpoints/{self.endpoint}, then deploy again: "
            "the same release makes no new calls and is only asked once more.",
        )

    def _note_alarms(self) -> None:
        for alarm in self.aws.alarms(prefix=self.alarm_prefix):
            if alarm["StateValue"] == "ALARM":
                name = alarm["AlarmName"].rpartition("/")[2]
                if name not in self.fired:
                    self.say(f"  alarm {name} is in ALARM: {alarm.get('StateReason', '')}")
                self.fired[name] = alarm.get("StateReason", "")

    def _rolled_back(self, described: Mapping[str, Any]) -> DeploymentRolledBack:
        self._note_alarms()
        causes = [f"Alarm {name}: {reason}" for name, reason in self.fired.items()]
        if described.get("FailureReason"):
            causes.append(f"FailureReason: {described['FailureReason']}")
        return DeploymentRolledBack(
            self.endpoint,
            wanted=self.config,
            live=described.get("EndpointConfigName", "?"),
            because=" ".join(causes) or "AWS gives no reason, and no alarm was seen in ALARM.",
        )

    def _failed(self, described: Mapping[str, Any] | None) -> DeploymentFailed:
        status = "gone" if described is None else described["EndpointStatus"]
        reason = (described or {}).get("FailureReason", "AWS gives no reason.")
        return DeploymentFailed(
            f"Endpoint {self.endpoint} is {status}: {reason}",
            fix=f"Read the log group /aws/sagemaker/Endpoints/{self.endpoint}, correct the release and "
            "deploy again: a Failed endpoint is replaced.",
        )

    def _timed_out(self, described: Mapping[str, Any], bound_seconds: float) -> DeploymentTimedOut:
        return DeploymentTimedOut(
            f"Endpoint {self.endpoint} is still {progress_line(described)} after {bound_seconds:.0f} s.",
            fix="Run the same command again: it goes on waiting for the same deployment.",
        )

    def _who_was_heard(self) -> str:
        answers = [f"{release}: {len(ids)}" for release, ids in self.hearing.instances.items()]
        errors = [f"{count} × {text}" for text, count in self.hearing.errors.most_common(2)]
        return "; ".join([*answers, *errors]) or "nobody"


def pause_seconds(waited: float) -> float:
    """How long until the next look: half a second at first, five after some minutes."""
    return min(5.0, 0.5 + waited / 60)
