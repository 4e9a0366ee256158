"""The scaler: acts on alarms and schedules, follows each change to its end, records the activities."""

from collections import deque
from uuid import uuid4

from local_aws.autoscaling.decision import (
    Bounds,
    NotScaled,
    ScaleTo,
    Signal,
    decide_scale_in,
    decide_scale_out,
)
from local_aws.autoscaling.facts import ACTIVITIES_KEPT, check_limits
from local_aws.autoscaling.model import (
    Activity,
    LastScaling,
    Policy,
    Resource,
    RunningActivity,
    ScheduledAction,
    Target,
)
from local_aws.autoscaling.steps import StepSignal
from local_aws.clock import Clock
from local_aws.cloudwatch import Alarms
from local_aws.errors import AwsError
from local_aws.protocols import Fleets, VariantState

Signals = list[tuple[Policy, Signal | StepSignal]]


class Scaler:
    """Scales targets; `activities` is the record, oldest first."""

    def __init__(self, alarms: Alarms, fleets: Fleets, clock: Clock) -> None:
        self._alarms, self._fleets, self._clock = alarms, fleets, clock
        self.activities: deque[Activity] = deque(maxlen=ACTIVITIES_KEPT)

    def tick(self, target: Target, state: VariantState) -> None:
        """Follow the running activity of one target; when none is running, let its alarms act."""
        if target.running is not None:
            self._follow(target, target.running, state)
        due = self._due(target)
        if due and target.running is None and state.endpoint_status == "InService":
            self._act(target, state, due)

    def move_limits(self, target: Target, state: VariantState, action: ScheduledAction) -> None:
        """Apply the limits of a scheduled action to a target, then bring its capacity inside them."""
        limits = action.request["ScalableTargetAction"]
        said = " and ".join(
            f"{name} capacity to {limits[key]}"
            for name, key in (("min", "MinCapacity"), ("max", "MaxCapacity"))
            if key in limits
        )
        cause = f"scheduled action name {action.request['ScheduledActionName']} was triggered"
        activity = self._begin(target.resource, f"Setting {said}", cause)
        try:
            target.minimum, target.maximum = check_limits(
                limits.get("MinCapacity", target.minimum), limits.get("MaxCapacity", target.maximum)
            )
        except AwsError as error:
            self._end(activity, "Failed", f"Failed to set {said}. {error.message}")
            return
        self._end(activity, "Successful", f"Successfully set {said}")
        self.move_inside(target, state)

    def move_inside(self, target: Target, state: VariantState) -> None:
        """Bring the capacity inside the target's limits, if the variant can be scaled now."""
        if state.endpoint_status != "InService" or target.running is not None:
            return
        if state.desired < target.minimum:
            self._scale(target, state, target.minimum, f"minimum capacity was set to {target.minimum}")
        elif state.desired > target.maximum:
            self._scale(target, state, target.maximum, f"maximum capacity was set to {target.maximum}")

    def _due(self, target: Target) -> Signals:
        """Collect the triggers of all policies, if one of their alarms was evaluated since the last action."""
        due: Signals = []
        fresh = False
        for policy in target.policies.values():
            for trigger in self._alarms.triggers(policy.arn):
                if policy.tracks and trigger.alarm not in policy.alarms:
                    continue  # tracking listens to its own two alarms only
                fresh = fresh or trigger.period_number > policy.acted_on.get(trigger.alarm, -1)
                policy.acted_on[trigger.alarm] = trigger.period_number
                due.append((policy, policy.signal(trigger)))
        return due if fresh else []

    def _act(self, target: Target, state: VariantState, due: Signals) -> None:
        bounds = Bounds(state.current, state.desired, target.minimum, target.maximum)
        cooling = target.last if target.last and self._clock.now() < target.last.cooldown_ends else None
        outwards = [signal for _, signal in due if signal.wants(state.current) > state.current]
        inwards = _inwards(target, due, state.current)
        decision = None
        if outwards and not target.suspended["DynamicScalingOutSuspended"]:
            cooling_from = cooling.before if cooling and cooling.outwards else None
            decision = decide_scale_out(bounds, outwards, cooling_from=cooling_from)
        elif not outwards and not target.suspended["DynamicScalingInSuspended"]:
            blocked = cooling is not None and not cooling.outwards
            decision = decide_scale_in(bounds, inwards, policies=len(inwards), cooling=blocked)
        content = [s for policy, s in due if not policy.tracks and s.wants(state.current) == state.current]
        if not (outwards or inwards) and content:
            decision = NotScaled("AlreadyAtDesiredCapacity", content[0])
        if isinstance(decision, ScaleTo):
            policy = target.policies[decision.signal.policy]
            self._scale(target, state, decision.count, _cause(decision.signal), policy)
        elif isinstance(decision, NotScaled):
            self._record_not_scaled(target, decision, bounds)

    def _scale(
        self, target: Target, state: VariantState, count: int, cause: str, policy: Policy | None = None
    ) -> None:
        activity = self._begin(target.resource, f"Setting desired instance count to {count}.", cause)
        try:
            self._fleets.set_desired_count(target.resource.endpoint, target.resource.variant, count)
        except AwsError as error:
            self._end(activity, "Failed", f"Failed to set desired instance count to {count}. {error.message}")
            return
        success = f"Successfully set desired instance count to {count}."
        activity["StatusMessage"] = f"{success} Waiting for change to be fulfilled by sagemaker."
        target.running = RunningActivity(activity, state.desired, count, policy)

    def _follow(self, target: Target, running: RunningActivity, state: VariantState) -> None:
        if state.endpoint_status != "InService":
            return
        count = running.wanted
        if state.desired != count:
            text = f"Desired instance count is {state.desired}, not {count}: changed since, or not fulfilled."
            self._end(running.activity, "Unfulfilled", text)
        elif state.current == count:
            success = f"Successfully set desired instance count to {count}."
            self._end(
                running.activity, "Successful", f"{success} Change successfully fulfilled by sagemaker."
            )
            if running.policy is not None:
                outwards = count > running.before
                cooldown = self._clock.real(running.policy.cooldown(outwards=outwards))
                target.last = LastScaling(outwards, running.before, self._clock.now() + cooldown)
        else:
            return
        target.running = None

    def _begin(self, resource: Resource, description: str, cause: str) -> Activity:
        activity = {
            "ActivityId": str(uuid4()),
            **resource.identity(),
            "Description": description,
            "Cause": cause,
            "StartTime": self._clock.now(),
            "StatusCode": "InProgress",
        }
        self.activities.append(activity)
        return activity

    def _end(self, activity: Activity, status: str, message: str = "") -> None:
        activity |= {"StatusCode": status, "EndTime": self._clock.now()}
        activity |= {"StatusMessage": message} if message else {}

    def _record_not_scaled(self, target: Target, decision: NotScaled, bounds: Bounds) -> None:
        known = {
            "AlreadyAtMaxCapacity": {"MaxCapacity": bounds.maximum},
            "AlreadyAtMinCapacity": {"MinCapacity": bounds.minimum},
        }
        reasons = [{"Code": decision.code, **known.get(decision.code, {"CurrentCapacity": bounds.current})}]
        cause = _cause(decision.signal)
        own = [one for one in self.activities if one["ResourceId"] == str(target.resource)]
        if own and (own[-1]["Cause"], own[-1].get("NotScaledReasons")) == (cause, reasons):
            return
        activity = self._begin(target.resource, "Attempting to scale due to alarm triggered", cause)
        activity["NotScaledReasons"] = reasons
        self._end(activity, "Failed")


def _inwards(target: Target, due: Signals, current: int) -> list[Signal | StepSignal]:
    """Collect the scale-in signals; those of target tracking count only when every such policy asks."""
    steps = [signal for policy, signal in due if not policy.tracks and signal.wants(current) < current]
    tracking = [
        signal
        for policy, signal in due
        if policy.tracks and policy.may_scale_in and signal.wants(current) <= current
    ]
    able = sum(policy.tracks and policy.may_scale_in for policy in target.policies.values())
    return steps + (tracking if len(tracking) == able else [])


def _cause(signal: Signal | StepSignal) -> str:
    return f"monitor alarm {signal.alarm} in state ALARM triggered policy {signal.policy}"
