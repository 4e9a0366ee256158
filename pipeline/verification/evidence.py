"""The evidence of one release in one environment: written by `verify` beside the release, read by `promote`."""

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from pipeline.account.cost import ServingCost
from pipeline.gates import Gate, Verdict, overall
from pipeline.model import Model
from pipeline.verification.capacity import Capacity
from pipeline.verification.regression import Regression
from pipeline.verification.scaling_timeline import ScalingTimeline

Profile = Literal["quick", "full"]


class Evidence(Model):
    """The gates of one verification. A verdict that does not follow from the gates does not load."""

    schema_version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    release: str
    environment: str
    endpoint: str
    config: str
    profile: Profile | Literal["load-test"]
    shape: str | None = None
    started: float
    finished: float
    verdict: Verdict
    gates: tuple[Gate, ...]
    capacity: Capacity | None
    scaling: ScalingTimeline | None = None
    regression: Regression | None = None
    cost: ServingCost | None = None
    load: tuple[str, ...]  # result files, relative to the build directory
    notes: tuple[str, ...] = ()  # what was not compared, or by shape alone

    @model_validator(mode="after")
    def _verdict_follows_from_gates(self) -> "Evidence":
        if self.verdict != overall(self.gates):
            raise ValueError(f"verdict {self.verdict} does not follow from the gates")
        return self

    @property
    def failed(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if gate.verdict is Verdict.FAILED)

    @property
    def inconclusive(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if gate.verdict is Verdict.INCONCLUSIVE)


def evidence_key(release: str, environment: str) -> str:
    """Return the key of this evidence in the release bucket."""
    return f"evidence/{release}/{environment}.json"


def read_evidence(document: Any | None) -> Evidence | None:
    """Return the evidence in a stored document; None when there is none or another version wrote it."""
    try:
        return None if document is None else Evidence.model_validate(document)
    except ValidationError:
        return None


def already_passed(
    found: Evidence | None,
    *,
    release: str,
    endpoint: str,
    config: str,
    profile: str,
    shape: str | None = None,
) -> bool:
    """Say whether the evidence PASSED for the same release, config and profile, so that it need not be measured again.

    Evidence with a shape is valid where none is asked for, not the other way round.
    """
    return (
        found is not None
        and found.verdict is Verdict.PASSED
        and shape in (None, found.shape)
        and (found.release, found.endpoint, found.config, found.profile)
        == (release, endpoint, config, profile)
    )
