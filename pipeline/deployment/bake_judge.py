"""Judge a bake while it lasts: plan its looks, give each to the judge, and say whether to veto the new fleet."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.aws import Answer, Clock
from pipeline.config.strategy import Deployment
from pipeline.deployment.bake_schedule import candidate_share, comparison_seconds, elapsed_before
from pipeline.deployment.fleet_counts import increase
from pipeline.deployment.judge.judge import (
    ENOUGH_MARGINS,
    LOOKS,
    FleetVerdict,
    Judge,
    Judgement,
    planned_slowdown_percent,
    reach,
)
from pipeline.deployment.judge.latency import TimedAnswer
from pipeline.deployment.judge.sequential_test import Block
from pipeline.deployment.probe_rate import ProbeRate
from pipeline.deployment.prober import Probe
from pipeline.errors import SmokeFailed

log = logging.getLogger(__name__)

FORESEEN_AFTER = 100  # answers of the old fleet: what the bake is going to find can be said
IDLE_PER_SECOND = 2.0  # while the fleets cannot be compared
LEAST_PAUSE = 0.05  # seconds
NOTHING = Block(0, 0, 0, 0)


class BakeVerdict(Judgement):
    """The verdict on a bake, what was foreseen of it, and which way was taken.

    `foreseen_slower_percent`: the least slowdown that the bake was going to find, said before it began; None: none.
    """

    foreseen_slower_percent: float | None
    taken: Literal["proceed", "roll_back"]


@dataclass
class BakeJudge:
    """Follows one bake by descriptions of the endpoint and golden answers.

    `candidate`, `baseline`: the releases of the new fleet and of the old one. `count`: everybody's requests between two
    epoch seconds. `scale`: AWS's seconds in one of ours. `is_resumed`: an earlier run may have judged a part of the bake.
    """

    deployment: Deployment
    margin_percent: float
    candidate: str
    baseline: str | None
    count: Callable[[float, float], Block]
    clock: Clock
    scale: float = 1.0
    is_resumed: bool = False
    judge: Judge = field(init=False)
    rate: ProbeRate = field(init=False)
    foreseen_percent: float | None = None
    is_over: bool = False
    _instances: int = 0
    _before: list[TimedAnswer] = field(default_factory=list)  # the old fleet's, until the bake begins
    _fresh: list[TimedAnswer] = field(default_factory=list)  # since the last look
    _counted: Block = NOTHING
    _began: tuple[float, float] | None = None  # monotonic seconds, less what was over; and epoch seconds
    _is_foreseen: bool = False

    def __post_init__(self) -> None:
        self.judge = Judge(self.margin_percent)
        self.rate = ProbeRate(self.deployment.probe_requests_per_second)

    @property
    def seconds(self) -> float:
        """Return the length of the comparison in this machine's seconds."""
        return comparison_seconds(self.deployment, self._instances) / self.scale

    def see(self, described: Mapping[str, Any], probes: Sequence[Probe]) -> None:
        """Take in a description and the answers that came before it; judge if a look is due."""
        share = candidate_share(described)
        answers = self._timed(probes, share)
        self._instances = self.rate.instances = self._instances or _instances(described)
        if self._wants_all:
            self.rate.note([each for each in answers if not each.is_candidate], self.clock.monotonic())
        if self._began is None:
            self._wait_for_the_bake(described, share, answers)
            return
        self._fresh += answers
        elapsed = (self.clock.monotonic() - self._began[0]) / max(self.seconds, 0.001)
        is_last = elapsed >= 1 or (share is not None and share >= 1)
        if not self.is_over and (is_last or elapsed * LOOKS >= self.judge.looks_planned + 1):
            self._look(1.0 if is_last else elapsed)
            self.is_over = is_last

    def finish(self, probes: Sequence[Probe]) -> None:
        """Take in the last answers of a bake that has ended."""
        self._fresh += self._timed(probes, 1.0)
        if self._began is not None and not self.is_over:
            self._look(1.0)
        self.is_over = True

    @property
    def per_second(self) -> float:
        """Return the rate of golden requests: the configured one, as far as the old fleet has room for it."""
        rate = self.rate.per_second
        return rate if self._wants_all else min(IDLE_PER_SECOND, rate)

    @property
    def _wants_all(self) -> bool:
        """Say whether each answer counts: it is compared, or tells what the bake is going to find."""
        is_comparing = self._began is not None and not self.is_over
        return is_comparing or (self._began is None and len(self._before) < FORESEEN_AFTER)

    def pause_seconds(self, at_most: float) -> float:
        """Return the pause until the next look is due."""
        if self._began is None or self.is_over:
            return at_most
        due = self._began[0] + (self.judge.looks_planned + 1) / LOOKS * self.seconds
        return max(min(at_most, due - self.clock.monotonic()), LEAST_PAUSE)

    def faults(self) -> list[str]:
        """Return the reasons for a veto: the new fleet is worse, or the bake is over without a verdict."""
        if self.judge.is_worse:
            return [f"worse than the old fleet: {self.judge.judgement().reason}"]
        if self.is_over and self.verdict().taken == "roll_back":
            return [f"inconclusive, and deployment.on_inconclusive is roll_back: {self.verdict().reason}"]
        return []

    def verdict(self) -> BakeVerdict:
        """Return the verdict so far, and the way that follows from it."""
        found = self.judge.judgement()
        rolls_back = found.verdict is FleetVerdict.WORSE or (
            found.verdict is FleetVerdict.INCONCLUSIVE and self.deployment.on_inconclusive == "roll_back"
        )
        return BakeVerdict(
            **found.model_dump(),
            foreseen_slower_percent=self.foreseen_percent,
            taken="roll_back" if rolls_back else "proceed",
        )

    def in_words(self) -> str:
        """Return the verdict of a bake that was rolled back, whatever the reason, in a few words."""
        return f"{self.verdict().verdict}, roll_back"

    def require_not_vetoed(self, endpoint: str) -> BakeVerdict:
        """Return the verdict on a new fleet that is in service. Raises SmokeFailed when its veto came too late."""
        found = self.verdict()
        if found.taken == "roll_back":
            error = SmokeFailed(
                f"{self.candidate} is live on {endpoint}, but {'; '.join(self.faults())}.",
                fix="Run `python -m pipeline rollback`, which puts the release before back; a bake that is longer "
                "than two minutes leaves time for the veto.",
            )
            error.judged = f"{found.verdict}, too late to roll back"
            raise error
        return found

    def _timed(self, probes: Sequence[Probe], share: float | None) -> list[TimedAnswer]:
        """Return the answers that name one of the two fleets.

        If both have the same release, the old fleet's instances are those that have answered before the bake.
        """
        old = {each.instance for each in self._before}
        found = []
        for each in probes:
            answer = each.answer
            if not isinstance(answer, Answer) or answer.release not in {self.candidate, self.baseline}:
                continue
            is_new = answer.release == self.candidate
            if self.candidate == self.baseline:
                is_new = share is not None and answer.instance not in old
            found.append(TimedAnswer(each.sent_at, each.seconds, is_new, answer.instance))
        return found

    def _wait_for_the_bake(
        self, described: Mapping[str, Any], share: float | None, answers: list[TimedAnswer]
    ) -> None:
        self._before += [each for each in answers if not each.is_candidate]
        self.judge.saw_before([each for each in answers if not each.is_candidate])
        if len(self._before) >= FORESEEN_AFTER:
            self._foresee()
        if share is None and not any(each.is_candidate for each in answers):
            self.is_resumed = False  # nothing of the bake was missed
            return
        self._foresee()
        now = self.clock.now()
        over = elapsed_before(described, now, self.seconds) if self.is_resumed else 0.0
        self.judge.begin_at(over)
        self._began = (self.clock.monotonic() - over * self.seconds, now)
        self._fresh += [each for each in answers if each.is_candidate]

    def _foresee(self) -> None:
        """Say, once, what the bake is going to find."""
        if self._is_foreseen:
            return
        self._is_foreseen = True
        rate = self.rate.per_second if self._before else 0.0
        share = self.deployment.first_share
        latencies = [each.seconds for each in self._before]
        found = planned_slowdown_percent(latencies, rate * self.seconds, share, self.margin_percent)
        self.foreseen_percent = found
        line = f"the bake compares both fleets: {rate:.3g} golden requests a second for {self.seconds:.0f} s"
        is_too_little = found is None or found > ENOUGH_MARGINS * self.margin_percent
        doubt = (
            f"; INCONCLUSIVE unless it is worse: {ENOUGH_MARGINS:g} margins are enough"
            if is_too_little
            else ""
        )
        log.info(f"{line} {reach(found)}, with a margin of {self.margin_percent:g} %{doubt}")

    def _look(self, elapsed: float) -> None:
        assert self._began is not None, "there is no look before the bake"
        counted = self.count(self._began[1], self.clock.now())
        self.judge.look(self._fresh, increase(self._counted, counted), elapsed)
        self._counted, self._fresh = counted, []


def _instances(described: Mapping[str, Any]) -> int:
    return sum(int(each.get("CurrentInstanceCount", 0)) for each in described.get("ProductionVariants", []))
