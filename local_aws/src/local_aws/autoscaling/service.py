"""Application Auto Scaling for endpoint variants: every action of the API, answered here.

Not imitated, and refused: other namespaces and dimensions, predictive policies. What AWS does not promise is in
`facts`.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from local_aws.autoscaling import facts
from local_aws.autoscaling.model import Resource, ScheduledAction, Target
from local_aws.autoscaling.policies import alarm_request, check_tracked_once, make_policy
from local_aws.autoscaling.scaler import Scaler
from local_aws.autoscaling.schedule import BadScheduleError, read_schedule
from local_aws.clock import Clock
from local_aws.cloudwatch import Alarms
from local_aws.errors import AwsError, invalid, not_imitated
from local_aws.protocols import Fleets, VariantState

Request = dict[str, Any]
Answer = dict[str, Any]
PAGE = 50


class Autoscaling:
    """The service, in the event loop's thread: `handle` answers requests, `tick` scales."""

    def __init__(self, alarms: Alarms, fleets: Fleets, clock: Clock) -> None:
        self._alarms, self._fleets, self._clock = alarms, fleets, clock
        self._targets: dict[Resource, Target] = {}
        self._scaler = Scaler(alarms, fleets, clock)
        self._answers: Mapping[str, Callable[[Request], Answer]] = {
            "RegisterScalableTarget": self._register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": self._describe_targets,
            "PutScalingPolicy": self._put_policy,
            "DeleteScalingPolicy": self._delete_policy,
            "DescribeScalingPolicies": self._describe_policies,
            "DescribeScalingActivities": self._describe_activities,
            "DescribeScheduledActions": self._describe_scheduled_actions,
            "PutScheduledAction": self._put_scheduled_action,
            "DeleteScheduledAction": self._delete_scheduled_action,
            "GetPredictiveScalingForecast": _refuse_forecast,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    @property
    def actions(self) -> frozenset[str]:
        """All operations of the service."""
        return frozenset(self._answers)

    async def handle(self, action: str, request: Request) -> Answer:
        """Answer one request whose shape botocore's model has accepted. Raises AwsError."""
        return self._answers[action](request)

    def tick(self) -> None:
        """Let alarms act, follow running activities, drop the targets of deleted endpoints."""
        for target in tuple(self._targets.values()):
            state = self._variant(target.resource)
            if state is None:
                self._drop(target)
                continue
            for action in target.scheduled.values():
                if (
                    action.comes_due(self._clock.machine_time())
                    and not target.suspended["ScheduledScalingSuspended"]
                ):
                    self._scaler.move_limits(target, state, action)
            self._scaler.tick(target, state)

    async def summary(self) -> dict[str, list[Answer]]:
        """Targets, policies, scheduled actions and the latest activities, as the API describes them, for `status`."""
        lists = {
            "scalable_targets": "DescribeScalableTargets",
            "scaling_policies": "DescribeScalingPolicies",
            "scheduled_actions": "DescribeScheduledActions",
            "scaling_activities": "DescribeScalingActivities",
        }
        request = {"ServiceNamespace": facts.NAMESPACE}
        answers = {name: await self.handle(action, request) for name, action in lists.items()}
        return {name: next(iter(answer.values())) for name, answer in answers.items()}

    def is_registered(self, endpoint: str, variant: str) -> bool:
        """Check whether a variant is a scalable target, which updates may not remove or give another type."""
        return Resource(endpoint, variant) in self._targets

    def _register(self, request: Request) -> Answer:
        resource = _resource(request)
        state = self._variant(resource)
        if state is None:
            raise invalid(f"SageMaker endpoint variant doesn't exist: {resource}")
        if state.instance_type.startswith(facts.UNSCALABLE_TYPES):
            raise invalid(f"Instance type {state.instance_type} does not support autoscaling: {resource}")
        old = self._targets.get(resource)
        minimum, maximum = facts.check_limits(
            request.get("MinCapacity", old.minimum if old else None),
            request.get("MaxCapacity", old.maximum if old else None),
        )
        target = old or Target(resource, minimum, maximum, self._clock.now())
        target.minimum, target.maximum = minimum, maximum
        target.suspended |= request.get("SuspendedState", {})
        target.tags |= request.get("Tags", {})
        self._targets[resource] = target
        self._scaler.move_inside(target, state)
        return {"ScalableTargetARN": target.arn}

    def _deregister(self, request: Request) -> Answer:
        self._drop(self._target(_resource(request)))
        return {}

    def _describe_targets(self, request: Request) -> Answer:
        found = (target.described() for target in self._targets.values())
        return _page(request, "ScalableTargets", found, "ResourceId", "ResourceIds")

    def _put_policy(self, request: Request) -> Answer:
        resource, name = _resource(request), request["PolicyName"]
        target = self._target(resource)
        policy, old = make_policy(request, resource, self._clock.now()), target.policies.get(name)
        check_tracked_once(policy, target.policies.values())
        if old is not None:
            policy = old.updated(policy)
        for alarm, shape in policy.alarms.items():
            self._alarms.put(alarm_request(policy, alarm, shape))
        if old is not None:
            self._alarms.delete([alarm for alarm in old.alarms if alarm not in policy.alarms])
        target.policies[name] = policy
        return {"PolicyARN": policy.arn, "Alarms": policy.alarms_described()}

    def _delete_policy(self, request: Request) -> Answer:
        policy = self._take(request, "policies", "scaling policy", "PolicyName")
        self._alarms.delete([*policy.alarms])
        return {}

    def _describe_policies(self, request: Request) -> Answer:
        targets = self._targets.values()
        found = (policy.described() for target in targets for policy in target.policies.values())
        return _page(request, "ScalingPolicies", found, "PolicyName", "PolicyNames")

    def _describe_activities(self, request: Request) -> Answer:
        all_of_them = request.get("IncludeNotScaledActivities", False)
        found = (
            dict(a) for a in reversed(self._scaler.activities) if all_of_them or "NotScaledReasons" not in a
        )
        return _page(request, "ScalingActivities", found)

    def _put_scheduled_action(self, request: Request) -> Answer:
        """Create an action, or change those of its fields that are given."""
        target, name = self._target(_resource(request)), request["ScheduledActionName"]
        now = self._clock.machine_time()
        old = target.scheduled.get(name)
        request = (old.request if old else {}) | request
        limits = request.get("ScalableTargetAction")
        if "Schedule" not in request or not limits:
            raise invalid("A scheduled action needs Schedule and ScalableTargetAction.")
        minimum = limits.get("MinCapacity", limits.get("MaxCapacity"))
        facts.check_limits(minimum, limits.get("MaxCapacity", minimum))
        if request.get("EndTime", math.inf) <= request.get("StartTime", now):
            raise invalid("EndTime must be in the future and after StartTime.")
        created = old.created if old else now
        origin, zone = request.get("StartTime", created), request.get("Timezone", "UTC")
        try:
            is_due = read_schedule(request["Schedule"], zone=zone, origin=origin, scale=self._clock.scale)
        except BadScheduleError as error:
            raise invalid(str(error)) from error
        action = ScheduledAction(request, is_due, created, now)
        target.scheduled[name] = replace(action, arn=old.arn) if old else action
        return {}

    def _delete_scheduled_action(self, request: Request) -> Answer:
        self._take(request, "scheduled", "scheduled action", "ScheduledActionName")
        return {}

    def _describe_scheduled_actions(self, request: Request) -> Answer:
        targets = self._targets.values()
        found = (action.described() for target in targets for action in target.scheduled.values())
        return _page(request, "ScheduledActions", found, "ScheduledActionName", "ScheduledActionNames")

    def _take(self, request: Request, where: str, what: str, key: str) -> Any:
        """Remove the policy or action that a Delete request names. Raises AwsError."""
        resource, name = _resource(request), request[key]
        target = self._targets.get(resource)
        if target is None or name not in getattr(target, where):
            text = f"No {what} found for {resource.sentence()}, {what.split()[-1]} name: {name}"
            raise AwsError("ObjectNotFoundException", text)
        return getattr(target, where).pop(name)

    def _tag(self, request: Request) -> Answer:
        self._by_arn(request["ResourceARN"]).tags.update(request["Tags"])
        return {}

    def _untag(self, request: Request) -> Answer:
        target = self._by_arn(request["ResourceARN"])
        target.tags = {key: value for key, value in target.tags.items() if key not in request["TagKeys"]}
        return {}

    def _list_tags(self, request: Request) -> Answer:
        return {"Tags": self._by_arn(request["ResourceARN"]).tags}

    def _target(self, resource: Resource) -> Target:
        if resource not in self._targets:
            text = f"No scalable target registered for {resource.sentence()}"
            raise AwsError("ObjectNotFoundException", text)
        return self._targets[resource]

    def _by_arn(self, arn: str) -> Target:
        for target in self._targets.values():
            if target.arn == arn:
                return target
        raise AwsError("ResourceNotFoundException", f"The resource {arn} does not exist.")

    def _variant(self, resource: Resource) -> VariantState | None:
        return self._fleets.variant(resource.endpoint, resource.variant)

    def _drop(self, target: Target) -> None:
        for policy in target.policies.values():
            self._alarms.delete([*policy.alarms])
        del self._targets[target.resource]


def _resource(request: Request) -> Resource:
    _check_namespace(request)
    return Resource.parse(request["ResourceId"])


def _check_namespace(request: Request) -> None:
    if request["ServiceNamespace"] != facts.NAMESPACE:
        raise not_imitated(f"The service namespace {request['ServiceNamespace']} of application-autoscaling")
    dimension = request.get("ScalableDimension", facts.DIMENSION)
    if dimension != facts.DIMENSION:
        raise not_imitated(f"The scalable dimension {dimension}")


def _refuse_forecast(_: Request) -> Answer:
    raise not_imitated("Predictive scaling")


def _page(request: Request, name: str, items: Iterable[Answer], key: str = "", names: str = "") -> Answer:
    """Answer a Describe request with the `items` that match it, PAGE at a time."""
    _check_namespace(request)
    wanted, resource, token = request.get(names), request.get("ResourceId"), request.get("NextToken", "0")
    found = [i for i in items if (not wanted or i[key] in wanted) and resource in (None, i["ResourceId"])]
    if not token.isdigit():
        raise AwsError("InvalidNextTokenException", f"The next token {token!r} is not valid.")
    start, size = int(token), min(request.get("MaxResults", PAGE), PAGE)
    page: Answer = {name: found[start : start + size]}
    return page | ({"NextToken": str(start + size)} if start + size < len(found) else {})
