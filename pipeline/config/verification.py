"""The gates on a release's own quality and answers, and the action on one that fails its verification."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.model import Model


class Quality(Model):
    """A figure in training's `metrics.json` that a release is held to.

    `floor`: the worst that any release may be. `allowed_loss`: by how much it may be worse than the release that the next
    environment serves, in the metric's own unit.
    """

    metric: Annotated[str, Field(min_length=1)]
    better: Literal["higher", "lower"] = "higher"
    floor: float
    allowed_loss: Annotated[float, Field(ge=0)]


class AnswerTolerance(Model):
    """The tolerance within which a number in an answer is the same to a client: `absolute` + `relative` × the number."""

    absolute: Annotated[float, Field(ge=0)] = 0.0
    relative: Annotated[float, Field(ge=0)] = 0.0


class Verification(Model):
    """The gates on a release's own quality and answers, and the action on one that fails its verification.

    `same_answer`: the tolerance of `limits.changed_answers_percent`, beside that of each golden case. `on_failed`:
    `keep` leaves a failed release live, so that it can be examined; `roll_back` puts the release before it back.
    """

    quality: Quality | None = None
    same_answer: AnswerTolerance = AnswerTolerance()
    on_failed: Literal["keep", "roll_back"] = "keep"
