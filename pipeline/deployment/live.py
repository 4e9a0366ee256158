"""Wait until a release is live, and prove it.

Live = InService, on the requested config, and as many distinct instances as the endpoint counts have
answered with this release's id. InService alone may be a silent rollback.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol

from golden import Case, Expected, GoldenSet, Request
from pipeline.aws import Answer, Clock
from pipeline.aws.waiting import pause_seconds
from pipeline.deployment.bake import ENOUGH_ANSWERS, BakeSmoke
from pipeline.deployment.bake_judge import BakeJudge
from pipeline.deployment.diagnosis import alarm_reason
from pipeline.deployment.endpoint_state import State, instance_count, state_of
from pipeline.deployment.identity_probe import IdentityProbe
from pipeline.deployment.prober import Probe, Prober, enough_threads
from pipeline.deployment.progress import progress_line, time_left
from pipeline.errors import (
    DeploymentFailed,
    DeploymentRolledBack,
    DeploymentTimedOut,
    ReleaseUnproved,
)

log = logging.getLogger(__name__)

PROOF_SECONDS = 60.0
CALLS_PER_LOOK = 4  # of the proof, at least
ERRORS_ASKED = 8  # golden cases whose right answer is an error, asked once the fleet is proved
LOG_AGAIN_SECONDS = 60.0
EMPTY = Case(Request(b"{}"), Expected(None))  # asked of an UNCHECKED release; no answer to it is wrong
GRACE_SECONDS = 10.0  # until a description shows an accepted update


class WatchesEndpoint(Protocol):
    """An endpoint's description, alarms and answers, as AwsClient reads them."""

    def describe_endpoint(self, name: str, /) -> dict[str, Any] | None: ...
    def alarms(self, *, prefix: str = ...) -> list[dict[str, Any]]: ...
    def invoke(self, endpoint: str, request: Request, /) -> Answer: ...


@dataclass
class Waiter:
    """Follows one deployment of `release` on `config`, and proves it."""

    aws: WatchesEndpoint
    endpoint: str
    config: str
    release: str
    golden: GoldenSet | None  # None: the release is UNCHECKED
    alarm_prefix: str
    clock: Clock = field(default_factory=Clock)
    proof_seconds: float = PROOF_SECONDS
    limit_seconds: float = 0.0  # MaximumExecutionTimeoutInSeconds; AWS's seconds
    scale: float = 1.0  # AWS's seconds in one of ours
    recent_logs: Callable[[float], str] = lambda _: ""  # of the containers started since then (epoch seconds)
    probe: IdentityProbe = field(default_factory=IdentityProbe)
    fired: dict[str, str] = field(default_factory=dict)
    bake: BakeSmoke | None = None
    unproved: str = ""  # what could not be proved of an UNCHECKED release
    judge: BakeJudge | None = None  # None: there are no two fleets to compare
    callers: Callable[[], Executor] = enough_threads
    veto: Callable[[Sequence[str]], None] = lambda _: None  # publishes the faults of the new fleet
    _logged: str = ""
    _logged_at: float = 0.0
    _began: float | None = None  # epoch seconds

    def until_in_service(self, bound_seconds: float, *, had_traffic: bool) -> dict[str, Any]:
        """Return the endpoint's description once it is InService on the config.

        While an update is under way golden requests are sent: a canary without traffic would pass its alarms
        unseen. Of an UNCHECKED release none are known, and an alarm must not see the answers to invented ones. Raises
        DeploymentRolledBack, DeploymentFailed or DeploymentTimedOut.
        """
        with Prober(self._invoke, self.clock, self.callers()) as prober:
            return self._follow(prober, bound_seconds, had_traffic=had_traffic)

    def _follow(self, prober: Prober, bound_seconds: float, *, had_traffic: bool) -> dict[str, Any]:
        started, moved, self._began = self.clock.monotonic(), False, self.clock.now()
        while True:
            probes = prober.collect()
            described = self.aws.describe_endpoint(self.endpoint)
            state, waited = state_of(described, self.config), self.clock.monotonic() - started
            if state is State.IN_SERVICE:
                assert described is not None
                self._judge(probes, None)
                return described
            if state in {State.FAILED, State.GONE}:
                raise self._failed(described)
            alarms = self._note_alarms()
            moved = moved or state is State.MOVING
            if state is State.ELSEWHERE and (moved or waited > GRACE_SECONDS):
                raise self._rolled_back(described or {})
            if waited > bound_seconds:
                raise self._timed_out(described or {}, bound_seconds)
            self._log_progress(described or {}, alarms, waited)
            if not had_traffic or self.golden is None:
                self.clock.sleep(pause_seconds(waited))
                continue
            self._judge(probes, described)
            pause = pause_seconds(waited)
            if self.judge is not None:
                prober.per_second, pause = self.judge.per_second, self.judge.pause_seconds(pause)
            prober.send_for(pause)

    def prove(self) -> int:
        """Return the number of instances that answered with this release: all that the endpoint counts.

        An UNCHECKED release is asked an empty JSON object. If its model refuses that, `unproved` says so, and fewer are
        returned. Raises ReleaseUnproved when fewer have answered within the bound.
        """
        started, wanted = self.clock.monotonic(), 0
        while self.clock.monotonic() - started <= self.proof_seconds:
            described = self.aws.describe_endpoint(self.endpoint) or {}
            wanted = instance_count(described)
            for _ in range(4):
                if 0 < wanted <= self.probe.count(self.release):
                    return wanted
                self._ask_for_identity(max(wanted, CALLS_PER_LOOK))
                if self.golden is None and self.probe.refusal:
                    self.unproved = self.probe.unproved(self.release, wanted)
                    return self.probe.count(self.release)
            self.clock.sleep(0.2)
        raise ReleaseUnproved(
            f"{self.probe.count(self.release)} of {wanted} instances of {self.endpoint} answered with "
            f"release {self.release} within {self.proof_seconds:.0f} s. Answers: {self.probe}."
            f"{self._logs()}",
            fix=f"Read the log group /aws/sagemaker/Endpoints/{self.endpoint}, then deploy again: "
            "the same release makes no new calls and is only asked once more.",
        )

    def judge_some(self) -> None:
        """Ask a proved fleet some golden requests if too few were judged while it baked, or nobody saw that."""
        if self.bake is not None and self.bake.judged < ENOUGH_ANSWERS:
            self.bake.judge_answers(self._ask(self._answered(0, ENOUGH_ANSWERS)))

    def judge_errors(self) -> None:
        """Ask the golden requests whose right answer is an error: of a proved fleet, every answer is this release's."""
        cases = enumerate(self.golden or ())
        numbers = [number for number, case in cases if not case.is_answered][:ERRORS_ASKED]
        if self.bake is not None and numbers:
            self.bake.judge_errors(self._ask(numbers))

    def _ask_for_identity(self, calls: int) -> None:
        if self.golden is None:
            self.probe.ask(self.aws, self.endpoint, [EMPTY] * calls)
        else:
            self._ask(self._answered(0, 1) * calls)

    def _answered(self, first: int, count: int) -> list[int]:
        """Return the numbers of cases whose right answer names release and instance, as that of an error does not."""
        numbers = [number for number, case in enumerate(self.golden or ()) if case.is_answered]
        return [numbers[number % len(numbers)] for number in range(first, first + count)]

    def _case(self, number: int) -> Case:
        assert self.golden is not None, "an UNCHECKED release has none"
        return self.golden.case(number)

    def _ask(self, numbers: Sequence[int]) -> list[tuple[int, Answer]]:
        """Send golden requests by number, several at once; return the answers by number."""
        answers = self.probe.ask(self.aws, self.endpoint, [self._case(number) for number in numbers])
        return [(numbers[index], answer) for index, answer in answers]

    def _log_progress(self, described: Mapping[str, Any], alarms: Mapping[str, str], waited: float) -> None:
        """Log the progress when it has changed, and once a minute."""
        pending = described.get("PendingDeploymentSummary") or {}
        if "StartTime" in pending:  # of a deployment that an earlier run has begun
            self._began = pending["StartTime"].timestamp()
        line = progress_line(described, alarms)
        if line == self._logged and waited - self._logged_at < LOG_AGAIN_SECONDS:
            return
        left = time_left(described, self.clock.now(), self.limit_seconds, self.scale)
        log.info(f"  {waited:5.0f} s  {' · '.join(filter(None, [line, left]))}")
        self._logged, self._logged_at = line, waited

    def _invoke(self, number: int) -> Answer:
        (case,) = self._answered(number, 1)
        return self.aws.invoke(self.endpoint, self._case(case).request)

    def _judge(self, probes: Sequence[Probe], described: Mapping[str, Any] | None) -> None:
        """Judge the golden requests so far; `described` None: the deployment has ended, and no veto can end it."""
        answered = [(self._answered(each.number, 1)[0], each.answer) for each in probes]
        for number, answer in answered:
            self.probe.note(answer, self._case(number))
        if self.bake is not None:
            self.bake.judge_answers([(n, answer) for n, answer in answered if isinstance(answer, Answer)])
        if self.judge is not None:
            self.judge.finish(probes) if described is None else self.judge.see(described, probes)
        if described is not None and (faults := self._faults()):
            self.veto(faults)

    def _faults(self) -> list[str]:
        wrong = self.bake.wrong[:3] if self.bake else []
        return [*wrong, *(self.judge.faults() if self.judge else [])]

    def _note_alarms(self) -> dict[str, str]:
        """Return the states of the new fleet's alarms; log and keep those that fire."""
        states = {}
        for alarm in self.aws.alarms(prefix=self.alarm_prefix):
            name = alarm["AlarmName"].rpartition("/")[2]
            states[name] = str(alarm["StateValue"])
            if alarm["StateValue"] == "ALARM":
                reason = alarm_reason(alarm)
                if name not in self.fired:
                    log.warning(f"  alarm {name} is in ALARM: {reason}")
                self.fired[name] = reason
        return states

    def _logs(self) -> str:
        logs = self.recent_logs(self.clock.now() if self._began is None else self._began)
        return f"\n{logs}" if logs else ""

    def _rolled_back(self, described: Mapping[str, Any]) -> DeploymentRolledBack:
        self._note_alarms()
        causes = [f"Alarm {name}: {reason}" for name, reason in self.fired.items()]
        causes += self._faults()
        if described.get("FailureReason"):
            causes.append(f"FailureReason: {described['FailureReason']}")
        return DeploymentRolledBack(
            self.endpoint,
            wanted=self.config,
            live=described.get("EndpointConfigName", "?"),
            because=(" ".join(causes) or "AWS gives no reason, and no alarm was seen in ALARM.")
            + self._logs(),
        )

    def _failed(self, described: Mapping[str, Any] | None) -> DeploymentFailed:
        status = "gone" if described is None else described["EndpointStatus"]
        reason = (described or {}).get("FailureReason", "AWS gives no reason.")
        return DeploymentFailed(
            f"Endpoint {self.endpoint} is {status}: {reason}{self._logs()}",
            fix=f"Read the log group /aws/sagemaker/Endpoints/{self.endpoint}, correct the release and "
            "deploy again: a Failed endpoint is replaced.",
        )

    def _timed_out(self, described: Mapping[str, Any], bound_seconds: float) -> DeploymentTimedOut:
        return DeploymentTimedOut(
            f"Endpoint {self.endpoint} is still {progress_line(described, self._note_alarms())} after "
            f"{bound_seconds:.0f} s.{self._logs()}",
            fix="Run the same command again: it goes on waiting for the same deployment.",
        )
