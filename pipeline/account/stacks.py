"""CloudFormation stacks: create, update, wait, and name the resource that failed."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.aws import AwsClient
from pipeline.aws.calls import Call
from pipeline.aws.waiting import wait_until
from pipeline.errors import AwsRefused, StackFailed
from pipeline.run import Run

log = logging.getLogger(__name__)

STACK_SECONDS = 900
GOOD = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
CHANGEABLE = GOOD | {"UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}
NEVER_CREATED = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})
NOTHING_TO_DO = "No updates are to be performed"  # a template of which only comments changed


@dataclass(frozen=True)
class Stack:
    """A wanted stack. `parameters`: those that differ from the template's defaults."""

    name: str
    template: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class StackState:
    """A stack as AWS describes it."""

    status: str
    template: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    reason: str


def observe_stack(name: str, aws: AwsClient) -> StackState | None:
    """Describe a stack; None when there is none of that name."""
    described = aws.find("cloudformation", "describe_stacks", StackName=name)
    if described is None:
        return None
    stack = described["Stacks"][0]
    body = aws.read("cloudformation", "get_template", StackName=name)["TemplateBody"]
    return StackState(
        status=stack["StackStatus"],
        template=body if isinstance(body, str) else "",
        parameters={each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])},
        outputs={each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
        reason=stack.get("StackStatusReason", ""),
    )


def plan_stack(stack: Stack, found: StackState | None) -> tuple[Call, ...]:
    """List the calls that bring a stack to its template. Raises StackFailed for one that only a person can repair."""
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in stack.parameters.items()]
    request = {
        "StackName": stack.name,
        "TemplateBody": stack.template,
        "Parameters": given,
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    create = Call("cloudformation", "create_stack", request, f"create stack {stack.name}")
    if found is None:
        return (create,)
    if found.status in NEVER_CREATED:
        says = f"delete stack {stack.name}, of which nothing came"
        return Call("cloudformation", "delete_stack", {"StackName": stack.name}, says), create
    if found.status not in CHANGEABLE:
        raise StackFailed(
            f"Stack {stack.name} is {found.status}: {found.reason or 'no reason is given'}.",
            fix=f"aws cloudformation continue-update-rollback --stack-name {stack.name}, or delete it; "
            "resources with a retention policy stay when a stack is deleted.",
        )
    is_same = found.template == stack.template and stack.parameters.items() <= found.parameters.items()
    if is_same:
        return ()
    kept = [
        {"ParameterKey": key, "UsePreviousValue": True}  # given in an earlier run
        for key in found.parameters
        if key not in stack.parameters and f"  {key}:" in stack.template
    ]
    changed = request | {"Parameters": [*given, *kept]}
    return (Call("cloudformation", "update_stack", changed, f"update stack {stack.name}"),)


def bring_up(stack: Stack, run: Run) -> Mapping[str, str]:
    """Bring a stack to its template, wait for it, and return its outputs.

    Raises StackFailed when CloudFormation rolls it back, or does not end within 15 minutes.
    """
    for call in plan_stack(stack, settled(stack.name, run.aws)):
        try:
            run.apply([call])
        except AwsRefused as error:
            if NOTHING_TO_DO not in error.message:
                raise
        found = settled(stack.name, run.aws)
        if call.operation != "delete_stack" and (found is None or found.status not in GOOD):
            raise StackFailed(
                f"Stack {stack.name} ended in {found.status if found else 'nothing'}: "
                f"{_first_failure(stack.name, run.aws) or (found.reason if found else '')}",
                fix="Correct the cause, then run the same command again.",
            )
    found = observe_stack(stack.name, run.aws)
    return found.outputs if found else {}


def settled(name: str, aws: AwsClient) -> StackState | None:
    """Return a stack once no change of it is under way. Raises StackFailed after 15 minutes."""
    found = wait_until(
        lambda: observe_stack(name, aws),
        lambda found: found is None or not found.status.endswith("_IN_PROGRESS"),
        STACK_SECONDS,
        aws.clock,
        timed_out=lambda found, waited: StackFailed(
            f"Stack {name} is {found.status if found else 'gone'} after {waited:.0f} s.",
            fix="Look at its events in CloudFormation, then run the same command again.",
        ),
    )
    return None if found and found.status == "DELETE_COMPLETE" else found


def _first_failure(name: str, aws: AwsClient) -> str:
    """Return the resource that failed first, with its reason; empty when no event has one."""
    events: list[dict[str, Any]] = list(
        aws.pages("cloudformation", "describe_stack_events", "StackEvents", StackName=name)
    )
    failed = [
        event
        for event in events  # newest first
        if event.get("ResourceStatus", "").endswith("_FAILED")
        and "cancelled" not in event.get("ResourceStatusReason", "")
    ]
    return (
        f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', 'no reason is given')}"
        if failed
        else ""
    )
