"""Application Auto Scaling for endpoint variants: every action of the API, answered here.

Not imitated, and refused: other namespaces and dimensions, step and predictive policies, scheduled actions,
metric math in a customized metric. What AWS does not promise is in `facts`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local_aws.autoscaling import facts
from local_aws.autoscaling.model import Policy, Resource, Target
from local_aws.autoscaling.policies import alarm_fields, check_configuration, make_alarms
from local_aws.autoscaling.scaler import AlarmBoard, Scaler
from local_aws.clock import Clock
from local_aws.errors import AwsError, not_imitated
from local_aws.seams import Fleets, VariantState

Request = dict[str, Any]
Answer = dict[str, Any]
PAGE = 50


class Autoscaling:
    """The service (all in the event loop's thread): `handle` its requests, `tick` its scaling."""

    def __init__(self, alarms: AlarmBoard, fleets: Fleets, clock: Clock) -> None:
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
            "PutScheduledAction": self._refuse("A scheduled action"),
            "DeleteScheduledAction": self._refuse("A scheduled action"),
            "GetPredictiveScalingForecast": self._refuse("Predictive scaling"),
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
        """Let alarms act and follow what runs; drop the targets whose endpoint is gone."""
        for target in tuple(self._targets.values()):
            state = self._variant(target.resource)
            if state is None:
                self._drop(target)
            else:
                self._scaler.tick(target, state)

    def is_registered(self, endpoint: str, variant: str) -> bool:
        """Is the variant a scalable target? (Updates may then not remove it or change its instance type.)"""
        return Resource(endpoint, variant) in self._targets

    def _register(self, request: Request) -> Answer:
        resource = _resource(request)
        state = self._variant(resource)
        if state is None:
            raise _invalid(f"SageMaker endpoint variant doesn't exist: {resource}")
        if state.instance_type.startswith(facts.UNSCALABLE_TYPES):
            raise _invalid(f"Instance type {state.instance_type} does not support autoscaling: {resource}")
        old = self._targets.get(resource)
        minimum, maximum = _check_limits(
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
        _check_namespace(request)
        wanted = request.get("ResourceIds")
        found = [t for t in self._targets.values() if not wanted or str(t.resource) in wanted]
        return _page(request, "ScalableTargets", [target.described() for target in found])

    def _put_policy(self, request: Request) -> Answer:
        resource, name = _resource(request), request["PolicyName"]
        target = self._target(resource)
        configuration = check_configuration(request)
        old = target.policies.get(name)
        policy = Policy(
            name, resource, configuration, make_alarms(resource, configuration), self._clock.now()
        )
        if old is not None:
            policy = old.updated(policy)
        for alarm in policy.alarms:
            alarm.arn = self._alarms.put(alarm.name, **alarm_fields(policy, alarm.shape))
        if old is not None:
            kept = {alarm.name for alarm in policy.alarms}
            self._alarms.delete([alarm.name for alarm in old.alarms if alarm.name not in kept])
        target.policies[name] = policy
        return {"PolicyARN": policy.arn, "Alarms": policy.alarms_described()}

    def _delete_policy(self, request: Request) -> Answer:
        resource, name = _resource(request), request["PolicyName"]
        target = self._targets.get(resource)
        if target is None or name not in target.policies:
            text = f"No scaling policy found for {resource.sentence()}, policy name: {name}"
            raise AwsError("ObjectNotFoundException", text)
        self._delete_alarms(target.policies.pop(name))
        return {}

    def _describe_policies(self, request: Request) -> Answer:
        _check_namespace(request)
        names, resource = request.get("PolicyNames"), request.get("ResourceId")
        found = [
            policy.described()
            for target in self._targets.values()
            for policy in target.policies.values()
            if (not names or policy.name in names) and resource in (None, str(target.resource))
        ]
        return _page(request, "ScalingPolicies", found)

    def _describe_activities(self, request: Request) -> Answer:
        _check_namespace(request)
        resource, all_of_them = request.get("ResourceId"), request.get("IncludeNotScaledActivities", False)
        found = [
            activity.described()
            for activity in reversed(self._scaler.activities)
            if resource in (None, str(activity.resource)) and (all_of_them or not activity.reasons)
        ]
        return _page(request, "ScalingActivities", found)

    def _describe_scheduled_actions(self, request: Request) -> Answer:
        _check_namespace(request)
        return {"ScheduledActions": []}  # none can be put

    def _tag(self, request: Request) -> Answer:
        self._by_arn(request["ResourceARN"]).tags.update(request["Tags"])
        return {}

    def _untag(self, request: Request) -> Answer:
        target = self._by_arn(request["ResourceARN"])
        target.tags = {key: value for key, value in target.tags.items() if key not in request["TagKeys"]}
        return {}

    def _list_tags(self, request: Request) -> Answer:
        return {"Tags": self._by_arn(request["ResourceARN"]).tags}

    @staticmethod
    def _refuse(what: str) -> Callable[[Request], Answer]:
        def refuse(_: Request) -> Answer:
            raise not_imitated(what)

        return refuse

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
            self._delete_alarms(policy)
        del self._targets[target.resource]

    def _delete_alarms(self, policy: Policy) -> None:
        self._alarms.delete([alarm.name for alarm in policy.alarms])


def _resource(request: Request) -> Resource:
    _check_namespace(request)
    return Resource.parse(request["ResourceId"])


def _check_namespace(request: Request) -> None:
    if request["ServiceNamespace"] != facts.NAMESPACE:
        raise not_imitated(f"The service namespace {request['ServiceNamespace']} of application-autoscaling")
    dimension = request.get("ScalableDimension", facts.DIMENSION)
    if dimension != facts.DIMENSION:
        raise not_imitated(f"The scalable dimension {dimension}")


def _check_limits(minimum: int | None, maximum: int | None) -> tuple[int, int]:
    if minimum is None or maximum is None:
        raise _invalid("Both MinCapacity and MaxCapacity are required to register a new scalable target.")
    if minimum < facts.MINIMUM_INSTANCES:
        raise _invalid(f"MinCapacity must be at least {facts.MINIMUM_INSTANCES} for an instance variant.")
    if maximum < minimum:
        raise _invalid("Maximum capacity cannot be less than minimum capacity")
    return minimum, maximum


def _page(request: Request, name: str, items: Iterable[Answer]) -> Answer:
    items, token = list(items), request.get("NextToken", "0")
    if not token.isdigit():
        raise AwsError("InvalidNextTokenException", f"The next token {token!r} is not valid.")
    start, size = int(token), min(request.get("MaxResults", PAGE), PAGE)
    page: Answer = {name: items[start : start + size]}
    return page | ({"NextToken": str(start + size)} if start + size < len(items) else {})


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)
