"""Acts on the alarms: changes capacities, follows each change to its end, keeps the record."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from local_aws.autoscaling.decision import (
    Bounds,
    NotScaled,
    ScaleTo,
    Signal,
    decide_scale_in,
    decide_scale_out,
)
from local_aws.autoscaling.facts import ACTIVITIES_KEPT, DEFAULT_COOLDOWN_SECONDS
from local_aws.autoscaling.model import Activity, Policy, Running, Scaled, Target
from local_aws.clock import Clock
from local_aws.errors import AwsError
from local_aws.seams import Fleets, VariantState


class AlarmBoard(Protocol):
    """What scaling needs of CloudWatch's alarms."""

    def breach(self, name: str) -> tuple[int, float] | None:
        """Number of the period that was judged last and its value, for an alarm in ALARM; else None."""
        ...

    def put(self, name: str, **fields: Any) -> str:
        """Create or replace an alarm; return its ARN."""
        ...

    def delete(self, names: Sequence[str]) -> None:
        """Forget alarms."""
        ...


class Scaler:
    """Scales targets; `activities` is the record, oldest first."""

    def __init__(self, alarms: AlarmBoard, fleets: Fleets, clock: Clock) -> None:
        self._alarms, self._fleets, self._clock = alarms, fleets, clock
        self.activities: deque[Activity] = deque(maxlen=ACTIVITIES_KEPT)

    def tick(self, target: Target, state: VariantState) -> None:
        """Follow the running activity of one target; where nothing is in the way, let its alarms act."""
        if target.running is not None:
            self._follow(target, target.running, state)
        due = self._due(target)
        if due and target.running is None and state.endpoint_status == "InService":
            self._act(target, state, due)

    def move_inside(self, target: Target, state: VariantState) -> None:
        """Pull the capacity inside the target's limits, if the variant can be scaled now."""
        if state.endpoint_status != "InService" or target.running is not None:
            return
        if state.desired < target.minimum:
            self._scale(target, state, target.minimum, f"minimum capacity was set to {target.minimum}")
        elif state.desired > target.maximum:
            self._scale(target, state, target.maximum, f"maximum capacity was set to {target.maximum}")

    def _due(self, target: Target) -> Mapping[str, list[tuple[Policy, Signal]]]:
        """Collect the alarms in ALARM by kind, if one of them was evaluated since it was last acted on."""
        due: dict[str, list[tuple[Policy, Signal]]] = {}
        fresh = False
        for policy in target.policies.values():
            for alarm in policy.alarms:
                breach = self._alarms.breach(alarm.name)
                if breach is None:
                    continue
                period_number, value = breach
                fresh = fresh or period_number > alarm.acted_on
                alarm.acted_on = period_number
                signal = Signal(policy.name, alarm.name, value, policy.target)
                due.setdefault(alarm.shape.kind, []).append((policy, signal))
        return due if fresh else {}

    def _act(
        self, target: Target, state: VariantState, due: Mapping[str, list[tuple[Policy, Signal]]]
    ) -> None:
        bounds = Bounds(state.current, state.desired, target.minimum, target.maximum)
        cooling = target.last if target.last and self._clock.now() < target.last.cooldown_ends else None
        decision = None
        if not target.suspended["DynamicScalingOutSuspended"]:
            outwards = [signal for _, signal in due.get("AlarmHigh", [])]
            cooling_from = cooling.before if cooling and cooling.outwards else None
            decision = decide_scale_out(bounds, outwards, cooling_from=cooling_from)
        if not due.get("AlarmHigh") and not target.suspended["DynamicScalingInSuspended"]:
            inwards = [signal for policy, signal in due.get("AlarmLow", []) if policy.may_scale_in]
            able = sum(policy.may_scale_in for policy in target.policies.values())
            blocked = cooling is not None and not cooling.outwards
            decision = decide_scale_in(bounds, inwards, policies=able, cooling=blocked)
        if isinstance(decision, ScaleTo):
            policy = target.policies[decision.signal.policy]
            self._scale(target, state, decision.count, _cause(decision.signal), policy)
        elif isinstance(decision, NotScaled):
            self._record_not_scaled(target, decision, bounds)

    def _scale(
        self, target: Target, state: VariantState, count: int, cause: str, policy: Policy | None = None
    ) -> None:
        description = f"Setting desired instance count to {count}."
        activity = Activity(target.resource, description, cause, self._clock.now(), "InProgress")
        self.activities.append(activity)
        try:
            self._fleets.set_desired_count(target.resource.endpoint, target.resource.variant, count)
        except AwsError as error:
            self._end(activity, "Failed", f"Failed to set desired instance count to {count}. {error.message}")
            return
        activity.message = f"Successfully set desired instance count to {count}. Waiting for change to be fulfilled by sagemaker."
        target.running = Running(activity, state.desired, count, policy.configuration if policy else None)

    def _follow(self, target: Target, running: Running, state: VariantState) -> None:
        if state.endpoint_status != "InService":
            return
        count = running.wanted
        if state.desired != count:
            text = f"Desired instance count is {state.desired}, not {count}: changed since, or not fulfilled."
            self._end(running.activity, "Unfulfilled", text)
        elif state.current == count:
            text = f"Successfully set desired instance count to {count}. Change successfully fulfilled by sagemaker."
            self._end(running.activity, "Successful", text)
            target.last = self._scaled(running) or target.last
        else:
            return
        target.running = None

    def _scaled(self, running: Running) -> Scaled | None:
        """What cooldowns count from: changes by a policy only."""
        if running.configuration is None:
            return None
        outwards = running.wanted > running.before
        name = "ScaleOutCooldown" if outwards else "ScaleInCooldown"
        cooldown = float(running.configuration.get(name, DEFAULT_COOLDOWN_SECONDS))
        return Scaled(outwards, running.before, self._clock.now() + self._clock.real(cooldown))

    def _end(self, activity: Activity, status: str, message: str) -> None:
        activity.status, activity.message, activity.ended = status, message, self._clock.now()

    def _record_not_scaled(self, target: Target, decision: NotScaled, bounds: Bounds) -> None:
        reason: dict[str, Any] = {"Code": decision.code}
        if decision.code == "AlreadyAtMaxCapacity":
            reason["MaxCapacity"] = bounds.maximum
        elif decision.code == "AlreadyAtMinCapacity":
            reason["MinCapacity"] = bounds.minimum
        else:
            reason["CurrentCapacity"] = bounds.current
        cause, description = _cause(decision.signal), "Attempting to scale due to alarm triggered"
        own = [one for one in self.activities if one.resource == target.resource]
        if own and (own[-1].cause, own[-1].reasons) == (cause, [reason]):
            return
        now = self._clock.now()
        self.activities.append(
            Activity(target.resource, description, cause, now, "Failed", ended=now, reasons=[reason])
        )


def _cause(signal: Signal) -> str:
    return f"monitor alarm {signal.alarm} in state ALARM triggered policy {signal.policy}"
