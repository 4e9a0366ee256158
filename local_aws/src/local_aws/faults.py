"""Faults that can be switched on, for some instances or calls, and off again by their id.

Instances of one endpoint, of its old or new fleet (new: the one a running deployment moves to):
  crash         their process is killed (one instance, unless `times` says more)
  out-of-memory the same, with their memory full at the end
  hang          they answer neither requests nor pings
  unhealthy     they answer requests, and no ping
  slow          every request takes `amount` milliseconds more
  errors        `amount` percent of the requests are answered 500
  no-capacity   none can be launched
  late-metrics  their metrics can be read `amount` AWS seconds later than otherwise
Images in ECR, all of them:
  finding       a scan has found `vulnerability` (CVE-…) of this `severity` in them
Calls of the API, of one `operation` or of all:
  throttle, expired-credentials, internal-error
  lost-answer   the call is made, and an internal error comes instead of its answer (not where moto answers)
"""

from collections.abc import Callable, Iterator, Mapping
from secrets import token_hex
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from local_aws.errors import AwsError

Kind = Literal[
    "crash",
    "out-of-memory",
    "hang",
    "unhealthy",
    "slow",
    "errors",
    "no-capacity",
    "late-metrics",
    "finding",
    "throttle",
    "expired-credentials",
    "internal-error",
    "lost-answer",
]
KINDS: tuple[str, ...] = get_args(Kind)
INTERNAL_ERROR = (
    "InternalFailure",
    "Request to service failed. If failure persists after retry, contact customer support.",
    500,
)
REFUSALS = {
    "throttle": ("ThrottlingException", "Rate exceeded", 400),
    "expired-credentials": (
        "ExpiredTokenException",
        "The security token included in the request is expired",
        400,
    ),
    "internal-error": INTERNAL_ERROR,
}
LOST_ANSWER = "lost-answer"
FINDING = "finding"
OF_CALLS = frozenset({*REFUSALS, LOST_ANSWER})
NEED_AMOUNT = ("slow", "errors", "late-metrics")
KILL = ("crash", "out-of-memory")
NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please "
    "retry using a different ML instance type or after some time."
)


class Fault(BaseModel):
    """One fault that is switched on."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    endpoint: str | None = None
    """Name of the endpoint; None: every endpoint."""
    fleet: Literal["old", "new"] | None = None
    """Fleet of the endpoint; None: both."""
    amount: float | None = Field(default=None, gt=0)
    operation: str | None = None
    """Operation, such as UpdateEndpoint; None: every call except those that switch faults."""
    vulnerability: str | None = None
    severity: Literal["INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL", "UNDEFINED"] | None = None
    times: int | None = Field(default=None, ge=1)
    """Number of instances or calls to hit; None: all."""
    id: str = Field(default_factory=lambda: token_hex(4))
    hit: set[str] = Field(default_factory=set)
    """Ids of the instances hit so far, or numbers of the calls."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Fault":
        if (self.amount is None) == (self.kind in NEED_AMOUNT):
            raise ValueError(f"amount (ms, percent, AWS s) is for {', '.join(NEED_AMOUNT)}, and needed there")
        of_calls = self.kind in OF_CALLS
        if (of_calls and (self.endpoint or self.fleet)) or (self.operation and not of_calls):
            raise ValueError("operation is for faults of calls; endpoint and fleet for those of instances")
        is_finding = self.kind == FINDING
        if {self.vulnerability is not None, self.severity is not None} != {is_finding}:
            raise ValueError("vulnerability and severity are for finding, and needed there")
        if is_finding and (self.endpoint or self.fleet or self.operation or self.times):
            raise ValueError("a finding is in every image: it has no endpoint, fleet, operation or times")
        if self.times is not None and self.kind == "late-metrics":
            raise ValueError("late-metrics hits all metrics of its endpoint and fleet: it has no times")
        if self.kind in KILL and self.times is None:
            self.times = 1
        return self

    def hits(self, what: str) -> bool:
        """Check whether it hits `what`, and count that; only the first `times` are hit."""
        if what in self.hit:
            return self.kind not in KILL
        if self.times is not None and len(self.hit) >= self.times:
            return False
        self.hit |= {what} if self.times is not None else set()
        return True

    def shown(self) -> dict[str, Any]:
        """Describe the fault: id, kind, and the fields that were given."""
        return self.model_dump(exclude_none=True, mode="json", exclude={"hit"}) | {"hits": len(self.hit)}


class Faults:
    """The faults that are on. `fleet_of(endpoint, config)` returns "old" or "new"."""

    def __init__(self, fleet_of: Callable[[str, str], str] = lambda *_: "old") -> None:
        self._fleet_of = fleet_of
        self.on: dict[str, Fault] = {}
        self._calls = 0

    def switch_on(self, request: Mapping[str, Any]) -> Fault:
        """Switch a fault on. Raises ValueError for an invalid one."""
        try:
            fault = Fault.model_validate(request)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in error.errors())
            raise ValueError(f"no such fault: {problems}") from error
        self.on[fault.id] = fault
        return fault

    def switch_off(self, fault_id: str) -> None:
        """Switch one off; `all` is all of them. Raises ValueError when it is not on."""
        if fault_id == "all":
            self.on.clear()
        elif self.on.pop(fault_id, None) is None:
            raise ValueError(f"no fault {fault_id} is on; on are: {', '.join(self.on) or 'none'}")

    def of_instance(self, endpoint: str, config: str, instance_id: str, *kinds: str) -> Iterator[Fault]:
        """Yield the faults of these kinds that hit an instance."""
        for fault in self.on.values():
            if fault.kind in kinds and self._aims_at(fault, endpoint, config) and fault.hits(instance_id):
                yield fault

    def kills(self, endpoint: str, config: str, instance_id: str) -> str | None:
        """Return the kind of fault that kills an instance now, or None; each fault kills an instance once."""
        return next((fault.kind for fault in self.of_instance(endpoint, config, instance_id, *KILL)), None)

    def lateness(self, endpoint: str | None, config: str | None) -> float:
        """Return the AWS seconds by which metrics of these dimensions are late."""
        late = (fault for fault in tuple(self.on.values()) if fault.kind == "late-metrics")
        return max((f.amount or 0.0 for f in late if self._aims_at(f, endpoint, config)), default=0.0)

    def _aims_at(self, fault: Fault, endpoint: str | None, config: str | None) -> bool:
        fleet = self._fleet_of(endpoint, config) if endpoint and config else None
        return fault.endpoint in (None, endpoint) and fault.fleet in (None, fleet)

    def findings(self) -> dict[str, str]:
        """Return the findings of image scans: severity by vulnerability."""
        found = (fault for fault in tuple(self.on.values()) if fault.kind == FINDING)
        return {str(fault.vulnerability): str(fault.severity) for fault in found}

    def refuse_call(self, operation: str | None) -> None:
        """Raise the AwsError that a fault wants for a call of this operation (None: an unnamed one)."""
        self._calls += 1
        for fault in self.on.values():
            if fault.kind in REFUSALS and self._is_aimed_at(fault, operation):
                raise AwsError(*REFUSALS[fault.kind])

    def lose_answer(self, operation: str | None) -> None:
        """Raise an AwsError in place of the answer to a call that was made, if a fault wants that."""
        for fault in self.on.values():
            if fault.kind == LOST_ANSWER and self._is_aimed_at(fault, operation):
                raise AwsError(*INTERNAL_ERROR)

    def _is_aimed_at(self, fault: Fault, operation: str | None) -> bool:
        return fault.operation in (None, operation) and fault.hits(str(self._calls))
