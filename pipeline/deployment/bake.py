"""Smoke-test a new fleet while it bakes: compare its answers to the golden requests with the golden ones.

Judged is every answer that names the new release, from its first one on. SageMaker drops the headers of a model's error,
so that a golden error can be judged only once no other fleet answers. A wrong answer is published as a metric of our own;
an alarm on that metric rolls the deployment back. Right answers publish nothing: without data the alarm is quiet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from golden import GoldenSet
from pipeline.aws import Answer
from pipeline.aws.calls import Call
from pipeline.config import Environment
from pipeline.deployment.alarms import VETO, veto_metric
from pipeline.errors import SmokeFailed
from pipeline.gates import Gate, Limit, Verdict, judge
from pipeline.release import UNCHECKED

ENOUGH_ANSWERS = 10  # of the new release


def unchecked_gate() -> Gate:
    """Return the gate of a release without golden requests: nothing was asked while it baked."""
    return judge(_limit(""), None).model_copy(update={"reason": UNCHECKED})


def _limit(passed_reason: str) -> Limit:
    return Limit(
        name="smoke during the bake",
        metric="wrong_answers",
        at_most=0,
        unit="answers",
        passed_reason=passed_reason,
    )


@dataclass
class BakeSmoke:
    """Judges one deployment's answers."""

    golden: GoldenSet
    release: str
    judged: int = 0
    wrong: list[str] = field(default_factory=list)

    def judge_answers(self, answers: Sequence[tuple[int, Answer]]) -> None:
        """Judge those answers, by case number, that the new release gave."""
        for number, answer in answers:
            if answer.release == self.release:
                self._judge(number, answer)

    def judge_errors(self, answers: Sequence[tuple[int, Answer]]) -> None:
        """Judge the answers, by case number, of a fleet that serves alone: an error that is no golden one is wrong."""
        for number, answer in answers:
            self._judge(number, answer)

    def _judge(self, number: int, answer: Answer) -> None:
        self.judged += 1
        difference = answer.difference(self.golden.case(number))
        self.wrong += [] if difference is None else [f"{self.golden.label(number)}: {difference}"]

    def gate(self) -> Gate:
        """Return the gate: PASSED, FAILED, or, with too few answers of the new release, INCONCLUSIVE."""
        passed = f"{self.judged} answers of {self.release} were the golden ones"
        limit = _limit("; ".join(filter(None, [passed, self.golden.note])))
        too_few = f"{self.judged} answers of {self.release}, {ENOUGH_ANSWERS} are enough"
        is_enough = self.judged >= ENOUGH_ANSWERS or self.wrong
        gate = judge(limit, float(len(self.wrong)) if is_enough else None, why_not_measured=too_few)
        return gate.model_copy(update={"reason": "; ".join(self.wrong[:3])}) if self.wrong else gate

    def require_right(self, endpoint: str) -> Gate:
        """Return the gate of a new fleet that is in service.

        Raises SmokeFailed when an answer was wrong: the veto came too late to roll back, or nothing has baked.
        """
        gate = self.gate()
        if gate.verdict is Verdict.FAILED:
            raise SmokeFailed(
                f"{self.release} is live on {endpoint}, but failed its golden tests: {gate.reason}.",
                fix="Run `python -m pipeline rollback`, which puts the release before back; then compare the model "
                "with its golden set: `python -m golden check ARCHIVE`.",
            )
        return gate


def veto_call(env: Environment, config: str, faults: Sequence[str]) -> Call:
    """Return the call that keeps the veto's alarm firing while the new fleet has these faults."""
    metric = veto_metric(env, config)
    datum = {name: metric[name] for name in ("MetricName", "Dimensions")}
    datum |= {"Value": float(len(faults)), "StorageResolution": 1}
    params = {"Namespace": metric["Namespace"], "MetricData": [datum]}
    return Call("cloudwatch", "put_metric_data", params, f"veto {config} by alarm {VETO}: {faults[0]}")
