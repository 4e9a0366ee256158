"""From an operation to IAM's actions on resources.

Names of actions, kinds of resources and formats of ARNs are those of AWS's service authorization reference; the tables
below hold what differs from "an operation is an action, and a parameter fills the ARN". What neither covers is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from local_aws.authorisation.calls import Call
from local_aws.authorisation.condition_keys import keys_of, require_key
from local_aws.authorisation.conditions import VARIABLE, Context
from local_aws.authorisation.forwarded import forwarded
from local_aws.authorisation.policies import Question
from local_aws.authorisation.protocols import Facts
from local_aws.authorisation.reference import Action, ResourceType, action
from local_aws.authorisation.resource_policies import owner_of
from local_aws.authorisation.s3 import s3_actions
from local_aws.errors import not_imitated
from local_aws.places import account_id, region

OWNED_BY = ("aws:resourceaccount", "s3:resourceaccount")
"""The condition keys that are the account of the resource."""
FOR_EVERYBODY = frozenset(
    {"sts:GetCallerIdentity", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"}
)
"""No policy is asked for these; the second and third are decided by the role's trust alone."""
NAMED_BY = {
    ("iam", "role"): ("RoleName", "PolicySourceArn"),
    ("iam", "policy"): ("PolicyArn",),
    ("iam", "user"): ("UserName", "PolicySourceArn"),
    ("iam", "oidc-provider"): ("OpenIDConnectProviderArn",),
    ("sts", "role"): ("RoleArn",),
    ("sns", "topic"): ("TopicArn", "TargetArn", "ResourceArn"),
    ("kms", "key"): ("KeyId",),
    ("ssm", "parameter"): ("Name", "Names"),
    ("ecr", "repository"): ("repositoryName", "repositoryNames", "resourceArn"),
    ("cloudwatch", "alarm"): ("AlarmName", "AlarmNames", "ResourceARN"),
    ("logs", "log-group"): ("logGroupName",),
    ("application-autoscaling", "scalabletarget"): ("ResourceARN",),
    ("sagemaker", "model-package"): ("ModelPackageName", "ModelPackageArn"),
}
"""The parameters that name a kind of resource, where they are not called as the ARN's format calls them."""
RESOURCE_ARN = ("ResourceArn", "resourceArn", "ResourceARN", "PolicySourceArn")
"""Parameters that are the resource's ARN themselves, whichever kind it is."""
REGISTRY = "registryId"
"""The parameter by which ECR's operations name another account."""
UNNAMED = frozenset({"application-autoscaling"})
"""Services whose ARNs have ids of AWS's own: their calls are judged by `…/*`, as AWS's refusals name it."""
IN_SMALL_LETTERS = frozenset({"sagemaker"})


def questions(call: Call, facts: Facts, caller_keys: Context) -> tuple[Question, ...]:
    """List what the caller has to be allowed for this call. Raises AwsError for a call that is not mapped."""
    if f"{call.service}:{call.operation}" in FOR_EVERYBODY:
        return ()
    context = {**caller_keys, **keys_of(call)}
    asked = s3_actions(call, facts) if call.service == "s3" else _actions(call, facts)
    return tuple(question(name, resource, {**context, **more}) for name, resource, more in asked)


def question(name: str, resource: str, context: Context) -> Question:
    """Ask for one action of the reference. Raises AwsError when it has none of that name."""
    service, _, bare = name.partition(":")
    known = _known(service, bare)
    asked = Question(known.name, resource, context, lambda key: require_key(key, known))
    owner = owner_of(asked)
    return replace(asked, context={**context, **{key: [owner] for key in OWNED_BY}}) if owner else asked


def _actions(call: Call, facts: Facts) -> Iterator[tuple[str, str, Context]]:
    found = _known(call.prefix, call.operation)
    for resource in resources(found, call, facts):
        yield found.name, resource, {}
    yield from forwarded(call, facts)


def _known(service: str, operation: str) -> Action:
    found = action(service, operation)
    if found is None:
        raise not_imitated(
            f"{service}:{operation} is unmapped: the service authorization reference has no such action, and"
            " LOCAL_AWS_IAM=enforce has no table for it. The operation"
        )
    return found


def resources(found: Action, call: Call, facts: Facts) -> list[str]:
    """List the ARNs that a call names; `*` for an action that knows no resource. Raises AwsError."""
    given = next((str(call.parameters[name]) for name in RESOURCE_ARN if call.parameters.get(name)), None)
    if given and given.startswith("arn:"):
        return [given]
    if found.name == "sagemaker:CreateModelPackage" and call.parameters.get("ModelPackageGroupName"):
        return [_version_to_come(str(call.parameters["ModelPackageGroupName"]))]
    required = [kind for kind in found.resource_types if kind.is_required]
    arns = [arn for kind in required or found.resource_types for arn in _arns(kind, call, facts)]
    if arns or not required:
        return arns or ["*"]
    if found.is_read or call.prefix in UNNAMED:
        return [_fill(kind.arn, {}) for kind in required]
    names = " or ".join(kind.name for kind in required)
    raise not_imitated(
        f"{found.name} is unmapped: no parameter of the request names its {names}. The operation"
    )


def _arns(kind: ResourceType, call: Call, facts: Facts) -> Iterator[str]:
    """Fill the format of a kind's ARN for each name in the request; nothing where it names none of this kind."""
    places = [name for name in VARIABLE.findall(kind.arn) if name not in ("Partition", "Region", "Account")]
    if not places:
        return
    *outer, last = places
    around = {place: next(_named(call, (place,)), "*") for place in outer}
    for name in _named(call, NAMED_BY.get((call.prefix, kind.name.lower()), (last,))):
        if name.startswith("arn:"):
            yield name
        elif call.prefix == "iam" and kind.name == "role":
            yield facts.role_arn(name)
        elif call.prefix == "kms" and kind.name == "key":
            yield facts.key_arn(name)
        else:
            small = name.lower() if call.prefix in IN_SMALL_LETTERS else name
            yield _fill(kind.arn, around | {last: small}, str(call.parameters.get(REGISTRY, "")))


def _version_to_come(group: str) -> str:
    """Return the ARN of a group's next version, whose number is AWS's to give."""
    return f"arn:aws:sagemaker:{region()}:{account_id()}:model-package/{group.lower()}/*"


def _named(call: Call, wanted: tuple[str, ...]) -> Iterator[str]:
    """Yield the values of the first parameters of these names that are given, regardless of case."""
    lower = {name.lower(): value for name, value in call.parameters.items()}
    for name in wanted:
        value = lower.get(name.lower())
        if value:
            yield from [str(each) for each in (value if isinstance(value, list) else [value])]
            return


def _fill(arn: str, names: Mapping[str, str], account: str = "") -> str:
    """Fill an ARN's format; a name that is not given is `*`. Of a log group, IAM is asked with its streams."""
    fixed = {"Partition": "aws", "Region": region(), "Account": account or account_id()}
    filled = VARIABLE.sub(lambda found: {**fixed, **names}.get(found[1], "*"), arn)
    return f"{filled}:log-stream:" if ":log-group:" in filled and ":log-stream:" not in filled else filled
