"""moto's stacks, made strict: templates are checked first, and a failed operation ends in a failed status."""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from moto.cloudformation import parsing, urls
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import CloudFormationBackend, Stack, cloudformation_backends

from local_aws.cloudformation.kinds import KINDS
from local_aws.cloudformation.resources import model_class
from local_aws.errors import not_imitated
from local_aws.places import CURRENT, Place

SECTIONS = frozenset(
    {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings", "Conditions"}
    | {"Resources", "Outputs"}
)
RESOURCE_FIELDS = frozenset(
    {"Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
)
TYPES = frozenset(kind.type for kind in KINDS)

log = logging.getLogger(__name__)


def parameters_in_force(stack: Stack) -> dict[str, str]:
    """Return a stack's parameters as DescribeStacks shows them: a list is one string, as it was given."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in stack.resource_map.resolved_parameters.items()
    }


def shown_parameters(stack: Stack) -> list[dict[str, str]]:
    """Return a stack's parameters for DescribeStacks, without the values that NoEcho hides."""
    hidden = stack.resource_map.no_echo_parameter_keys
    return [
        {"ParameterKey": name, "ParameterValue": "****" if name in hidden else value}
        for name, value in parameters_in_force(stack).items()
    ]


Stack.stack_parameters = property(parameters_in_force)  # moto shows lists as Python writes them,
Stack.parameter_list = property(shown_parameters)  # and hides by value, not by name


class StrictBackend(CloudFormationBackend):  # type: ignore[misc]  # moto is untyped here
    """The stacks of one account and region."""

    @property
    def _url_module(self) -> Any:
        return urls  # moto would derive it from this class's own module

    def create_stack(self, name: str, template: str, *given: Any, **more: Any) -> Stack:
        """Create a stack; one that fails ends in ROLLBACK_COMPLETE, with the reason."""
        check_template(template)
        known = {stack.stack_id for stack in self.stacks.values()}
        try:
            return super().create_stack(name, template, *given, **more)
        except Exception as error:
            new = [stack for stack in self.stacks.values() if stack.stack_id not in known]
            if not new:
                raise
            _roll_back(new[0], error)
            return new[0]

    def create_change_set(self, *given: Any, **more: Any) -> tuple[str, str]:
        """Create a change set, if its template could be executed."""
        check_template(more["template"])
        made: tuple[str, str] = super().create_change_set(*given, **more)
        return made

    def execute_change_set(self, change_set_name: str, stack_name: str | None = None) -> None:
        """Execute a change set; the result is the stack's status."""
        found = [
            one
            for one in self.change_sets.values()
            if change_set_name in (one.change_set_id, one.change_set_name)
            and stack_name in (None, one.stack_name, one.stack_id)
        ]
        if not found:
            raise ValidationError(stack_name)
        try:
            super().execute_change_set(found[-1].change_set_id, stack_name)
            _refresh(found[-1].stack)
        except Exception as error:
            found[-1].execution_status = "EXECUTE_FAILED"
            fail = _roll_back if found[-1].change_set_type == "CREATE" else _leave
            fail(self.stacks[found[-1].stack_id], error)

    def update_stack(self, name: str, template: str, *given: Any, **more: Any) -> Stack:
        """Update a stack; changes made before a failure stay, and the status says so."""
        check_template(template)
        try:
            updated: Stack = super().update_stack(name, template, *given, **more)
            _refresh(updated)
        except Exception as error:
            stack = self.get_stack(name)  # raises ValidationError when there is none
            _leave(stack, error)
            return stack
        else:
            return updated

    def _resolve_update_parameters(self, instance: Any, incoming_params: list[dict[str, Any]]) -> Any:
        """Take previous values as they are in force; moto knows no defaults among them."""
        if isinstance(instance, Stack):
            instance.parameters = dict(instance.stack_parameters)
        return super()._resolve_update_parameters(instance, incoming_params)

    def delete_stack(self, name_or_stack_id: str) -> None:
        """Delete a stack; one with a resource that cannot be deleted stays, in DELETE_FAILED."""
        for stack in [s for s in self.stacks.values() if name_or_stack_id in (s.name, s.stack_id)]:
            _keep_what_was_made(stack)
            try:
                stack.resource_map.delete()
            except Exception as error:
                _end(stack, "DELETE_FAILED", error)
                return
        super().delete_stack(name_or_stack_id)

    def validate_template(self, template: str) -> list[Any]:
        """Check a template as CreateStack does (moto would need cfn-lint)."""
        check_template(template)
        return []


def check_template(template: str) -> None:
    """Accept a template whose sections and resource types are imitated. Raises AwsError."""
    content = Stack.parse_template(template)
    beyond = sorted(content.keys() - SECTIONS)
    if beyond:
        raise not_imitated(f"{beyond[0]} of a template")
    for name, resource in content.get("Resources", {}).items():
        if resource.get("Type") not in TYPES:
            known = ", ".join(sorted(TYPES))
            raise not_imitated(f"{name}, a {resource.get('Type')} (CloudFormation makes {known} here),")
        if resource.keys() - RESOURCE_FIELDS:
            raise not_imitated(f"{min(resource.keys() - RESOURCE_FIELDS)} of {name}")


def _refresh(stack: Stack) -> None:
    """Bring every resource to its template and condition.

    moto skips those whose text is unchanged, even if a reference or a condition has changed.
    """
    resources = stack.resource_map
    for name, template in resources._resource_json_map.items():
        made = resources._parsed_resources.get(name)
        condition = template.get("Condition")
        if condition and not resources.lazy_condition_map[condition]:
            if made is not None:
                made.delete(stack.account_id, stack.region_name)
                del resources._parsed_resources[name]
        else:
            parsing.parse_and_update_resource(
                name, template, resources, account_id=stack.account_id, region_name=stack.region_name
            )


def _update_what_is_there(update: Callable[..., Any]) -> Callable[..., Any]:
    """Let an update make a resource that is not there, if its condition holds; moto takes it for one that is."""

    def updated(name: str, template: dict[str, Any], resources: Any, **where: str) -> Any:
        if resources._parsed_resources.get(name) is None:
            return resources[name]
        return update(name, template, resources, **where)

    return updated


parsing.parse_and_update_resource = _update_what_is_there(parsing.parse_and_update_resource)


def _keep_what_was_made(stack: Stack) -> None:
    """Read RetainExceptOnCreate as Retain, the only policy that moto knows; a rollback has deleted it already."""
    for resource in stack.resource_map._resource_json_map.values():
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
            resource["DeletionPolicy"] = "Retain"


def _roll_back(stack: Stack, error: Exception) -> None:
    """Delete the resources that a failed creation has made."""
    _end(stack, "CREATE_FAILED", error)
    try:
        stack.resource_map.delete()
    except Exception as second:
        _end(stack, "ROLLBACK_FAILED", second)
    else:
        _end(stack, "ROLLBACK_COMPLETE", error)


def _leave(stack: Stack, error: Exception) -> None:
    """End a failed update in UPDATE_ROLLBACK_FAILED: its finished changes cannot be undone here."""
    _end(stack, "UPDATE_ROLLBACK_FAILED", error)


def _end(stack: Stack, status: str, error: Exception) -> None:
    log.info("stack %s: %s", stack.name, status, exc_info=error)
    stack.status = status
    stack.stack_status_reason = str(error) or type(error).__name__
    stack._add_stack_event(status, resource_status_reason=stack.stack_status_reason)


def install(clients: Callable[[str, Place], Any]) -> None:
    """Install it in moto's CloudFormation; `clients` makes boto3 clients of the front door, so that its rules apply."""
    cached = lru_cache(clients)
    _MODELS[:] = [
        model_class(kind, lambda service: cached(service, CURRENT.get())) for kind in KINDS
    ]  # found by moto among all subclasses
    for known in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        known.cache_clear()
    seam: Any = cloudformation_backends
    seam.backend = StrictBackend
    seam.clear()


_MODELS: list[Any] = []
"""References that keep the model classes alive: moto finds them as subclasses, which Python holds weakly."""
