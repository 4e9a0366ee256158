"""Validate planned calls against botocore's model of the API, offline."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import BotoCoreError
from botocore.validate import ParamValidator

from pipeline.aws.calls import Call
from pipeline.errors import ConfigError


def require_valid(calls: Iterable[Call]) -> None:
    """Return when every call is valid. Raises ConfigError naming operations and parameters that the API lacks."""
    wrong = [f"{call.says}: {problem}" for call in calls if (problem := problem_of(call))]
    if wrong:
        raise ConfigError(
            "AWS would refuse what is planned:\n" + "\n".join(wrong), fix="Correct the settings it names."
        )


def problem_of(call: Call) -> str | None:
    """Return the fault of a call; None when it is valid."""
    try:
        model = _service(call.service)
    except BotoCoreError as error:
        return str(error)
    names = {xform_name(name): name for name in model.operation_names}
    if call.operation not in names:
        return f"{call.service} has no operation {call.operation}"
    shape = model.operation_model(names[call.operation]).input_shape
    report = ParamValidator().validate(dict(call.params), shape)
    return str(report.generate_report()) if report.has_errors() else None


@cache
def _service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(name)
