"""Smoke-test a new fleet while it bakes: compare its answers to the golden inputs with the golden ones.

A wrong answer is published as a metric of our own; an alarm on that metric rolls the deployment back. Right answers
publish nothing: without data the alarm is quiet.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.aws import Answer
from pipeline.aws.calls import Call
from pipeline.config import Environment
from pipeline.deployment.alarms import VETO, veto_metric
from pipeline.errors import SmokeFailed
from pipeline.gates import Gate, Limit, Verdict, judge

ENOUGH_ANSWERS = 10  # of the new release
PATIENCE = 4  # × the calls that its share of the traffic should take


@dataclass(frozen=True)
class Golden:
    """Inputs with the predictions that the release's own training expects. `tolerance`: of each number."""

    cases: tuple[Mapping[str, Any], ...]
    tolerance: float

    @classmethod
    def parse(cls, text: str) -> "Golden":
        document = json.loads(text)
        return cls(tuple(document["cases"]), float(document.get("tolerance", 0.0)))

    def body(self, number: int) -> bytes:
        """Return an /invocations body with one case; numbers beyond the last begin again."""
        return json.dumps({"instances": [self.cases[number % len(self.cases)]["instance"]]}).encode()

    def fault_of(self, number: int, body: bytes) -> str | None:
        """Return the fault of the answer to a case; None when it is the golden one, or none is known."""
        case = self.cases[number % len(self.cases)]
        if "prediction" not in case:
            return None
        try:
            (found,) = json.loads(body)["predictions"]
        except (ValueError, KeyError, TypeError):
            return f"golden case {number % len(self.cases)}: no prediction in {body[:60]!r}"
        where = first_difference(case["prediction"], found, self.tolerance)
        return None if where is None else f"golden case {number % len(self.cases)}: {where}"


def first_difference(wanted: Any, found: Any, tolerance: float, where: str = "prediction") -> str | None:
    """Name the first place in which two JSON values differ by more than the tolerance; None: they agree."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping) and wanted.keys() == found.keys():
        pairs = [(f"{where}.{key}", wanted[key], found[key]) for key in wanted]
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = [(f"{where}[{n}]", a, b) for n, (a, b) in enumerate(zip(wanted, found, strict=True))]
    else:
        is_number = isinstance(wanted, float) and isinstance(found, int | float)
        same = math.isclose(wanted, found, rel_tol=0.0, abs_tol=tolerance) if is_number else wanted == found
        return None if same else f"{where} is {str(found)[:60]}, not {str(wanted)[:60]}"
    differences = (first_difference(a, b, tolerance, place) for place, a, b in pairs)
    return next((each for each in differences if each is not None), None)


@dataclass
class BakeSmoke:
    """Judges one deployment's answers. `share`: of the traffic that the new fleet first gets, 0 to 1."""

    golden: Golden
    release: str
    share: float
    calls: int = 0
    judged: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def most_calls(self) -> int:
        return math.ceil(PATIENCE * ENOUGH_ANSWERS / self.share)

    def judge_answers(self, answers: Sequence[tuple[int, Answer]], calls: int) -> None:
        """Judge the answers, by case number, to this many `calls`; none beyond the bound."""
        if self.calls >= self.most_calls:
            return
        self.calls += calls
        for number, answer in answers:
            if answer.release == self.release:
                self.judged += 1
                fault = self.golden.fault_of(number, answer.body)
                self.wrong += [] if fault is None else [fault]

    def veto(self, env: Environment, config: str) -> Call | None:
        """Return the call that keeps the alarm firing, once an answer was wrong."""
        if not self.wrong:
            return None
        metric = veto_metric(env, config)
        datum = {name: metric[name] for name in ("MetricName", "Dimensions")}
        datum |= {"Value": float(len(self.wrong)), "StorageResolution": 1}
        params = {"Namespace": metric["Namespace"], "MetricData": [datum]}
        return Call(
            "cloudwatch", "put_metric_data", params, f"veto {config} by alarm {VETO}: {self.wrong[0]}"
        )

    def gate(self) -> Gate:
        """Return the gate: PASSED, FAILED, or, with too few answers of the new release, INCONCLUSIVE."""
        limit = Limit(
            name="smoke during the bake",
            metric="wrong_answers",
            at_most=0,
            unit="answers",
            passed_reason=f"{self.judged} answers of {self.release} were the golden ones",
        )
        too_few = (
            f"{self.judged} answers of {self.release} in {self.calls} calls, {ENOUGH_ANSWERS} are enough"
        )
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
                "with its golden.json.",
            )
        return gate
