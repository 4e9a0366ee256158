"""Test at many looks whether too many of the marked requests are the candidate's; the error rate holds over all.

Marked requests are failures, or the slowest requests. If the two fleets are alike, each request is as likely to be
marked as any other: given how many are marked among all, the candidate's count is hypergeometric, whatever the
distribution behind it (Fisher's exact test; with large counts it is the binomial one). Requests are counted in blocks,
one to a look, so that a drift that both fleets share changes nothing.

Looks share the error rate by a spending function (Lan and DeMets, Biometrika 1983): after a part t of the bake at most
alpha × t² is spent (the power family of Kim and DeMets, Biometrika 1987). The probability of each sum, on paths that have
not crossed a bound yet, is carried from look to look (Armitage, McPherson and Rowe, J. R. Stat. Soc. A 1969). Here it is
exact: a convolution of hypergeometric distributions, not an approximation by the normal one.
"""

from dataclasses import dataclass, replace

NEGLIGIBLE = 1e-18  # probabilities below it are left out; error rates here are above 1e-6


@dataclass(frozen=True)
class Block:
    """The counts of one look: requests since the look before, and those among them that are marked."""

    candidate: int
    requests: int  # of both fleets
    candidate_marked: int
    marked: int  # of both fleets


@dataclass(frozen=True)
class Distribution:
    """A law of a count: the probabilities of `first` and of each count after it."""

    first: int
    probabilities: tuple[float, ...]

    def plus(self, other: "Distribution") -> "Distribution":
        """Return the distribution of the sum of two independent counts."""
        sums = [0.0] * (len(self.probabilities) + len(other.probabilities) - 1)
        for n, ours in enumerate(self.probabilities):
            for m, theirs in enumerate(other.probabilities):
                sums[n + m] += ours * theirs
        return Distribution(self.first + other.first, tuple(sums)).trimmed()

    def trimmed(self) -> "Distribution":
        """Leave out the negligible probabilities at both ends."""
        kept = [n for n, each in enumerate(self.probabilities) if each > NEGLIGIBLE]
        if not kept:
            return Distribution(self.first, (0.0,))
        return Distribution(self.first + kept[0], self.probabilities[kept[0] : kept[-1] + 1])

    def cut(self, allowance: float) -> tuple[int, float]:
        """Return the smallest count whose upper tail is within the allowance, and that tail's probability."""
        bound, tail = self.first + len(self.probabilities), 0.0
        for probability in reversed(self.probabilities):
            if tail + probability > allowance:
                break
            bound, tail = bound - 1, tail + probability
        return bound, tail

    def below(self, bound: int) -> "Distribution":
        """Keep the counts below a bound; their probabilities then add up to less than one."""
        return Distribution(self.first, self.probabilities[: max(bound - self.first, 0)] or (0.0,))


CERTAINLY_NONE = Distribution(0, (1.0,))


def hypergeometric(candidate: int, requests: int, marked: int) -> Distribution:
    """Return the distribution of the candidate's share of the marked requests, if every request is alike.

    `candidate` of the `requests` are its own. It begins at the most probable count and goes outwards by ratios.
    """
    lowest, highest = max(0, marked - (requests - candidate)), min(candidate, marked)
    middle = min(max((candidate + 1) * (marked + 1) // (requests + 2), lowest), highest)
    weights = {middle: 1.0}
    for n in range(middle, highest):
        ratio = (candidate - n) * (marked - n) / ((n + 1) * (requests - candidate - marked + n + 1))
        if (weight := weights[n] * ratio) < NEGLIGIBLE:
            break
        weights[n + 1] = weight
    for n in range(middle, lowest, -1):
        ratio = n * (requests - candidate - marked + n) / ((candidate - n + 1) * (marked - n + 1))
        if (weight := weights[n] * ratio) < NEGLIGIBLE:
            break
        weights[n - 1] = weight
    total = sum(weights.values())
    return Distribution(min(weights), tuple(weights[n] / total for n in sorted(weights)))


@dataclass(frozen=True)
class SequentialTest:
    """One test after its looks so far. `spent`: of `alpha`. `is_refuted`: the fleets are not alike."""

    alpha: float
    spent: float = 0.0
    on_paths: Distribution = CERTAINLY_NONE  # of the candidate's count, on the paths below all bounds so far
    total: Block = Block(0, 0, 0, 0)
    bound: int | None = None  # the smallest count that refutes at the last look
    is_refuted: bool = False

    def look(self, block: Block, elapsed: float) -> "SequentialTest":
        """Return the test after one more block. `elapsed`: part of the bake, 0 to 1; it must not depend on the data."""
        if self.is_refuted:
            return self
        total = Block(
            self.total.candidate + block.candidate,
            self.total.requests + block.requests,
            self.total.candidate_marked + block.candidate_marked,
            self.total.marked + block.marked,
        )
        coming = self.on_paths.plus(hypergeometric(block.candidate, block.requests, block.marked))
        bound, tail = coming.cut(spendable(self.alpha, elapsed) - self.spent)
        return replace(
            self,
            spent=self.spent + tail,
            on_paths=coming.below(bound),
            total=total,
            bound=bound,
            is_refuted=total.candidate_marked >= bound,
        )


def spendable(alpha: float, elapsed: float) -> float:
    """Return the part of the error rate that may be spent once this part of the bake, 0 to 1, is over."""
    return alpha * min(max(elapsed, 0.0), 1.0) ** 2
