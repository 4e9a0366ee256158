"""A call as its request names it: service, operation and parameters, in each of AWS's protocols."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import botocore.session
from aiohttp import web
from botocore.parsers import RpcV2CBORParser
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.exceptions import HTTPException

from local_aws.error_encoding import signing_service
from local_aws.errors import AwsError, not_imitated

FORM = "application/x-www-form-urlencoded"
CBOR_PATH = "/service/"
RUNTIME = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
BOTO_NAMES = {"monitoring": "cloudwatch", "servicequotas": "service-quotas"}
"""boto3's name of a service, where it signs by another one."""
PREFIXES = {"service-quotas": "servicequotas", "sagemaker-runtime": "sagemaker"}
"""IAM's prefix of a service, where it is not boto3's name."""


@dataclass(frozen=True)
class Call:
    """One operation of one service."""

    service: str
    """boto3's name of the service."""
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """In small letters."""

    @property
    def prefix(self) -> str:
        """IAM's prefix of the service."""
        return PREFIXES.get(self.service, self.service)


async def read_call(request: web.Request) -> Call:
    """Read service, operation and parameters of a request. Raises AwsError when that is not possible here.

    The bodies of invocations and of objects are not read: they are streams.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    if request.path.startswith("/endpoints/"):
        _, _, name, last = request.path.split("/", 3)
        if last not in RUNTIME:
            raise _unmapped(request)
        return Call("sagemaker-runtime", RUNTIME[last], {"EndpointName": name}, headers)
    if "x-amz-target" in headers:
        prefix, _, operation = headers["x-amz-target"].rpartition(".")
        service = _service_of_target().get(prefix)
        if service is None:
            raise _unmapped(request)
        return Call(service, operation, _json(await request.read()), headers)
    if request.path.startswith(CBOR_PATH):
        _, _, target, _, operation = request.path.split("/", 4)
        service = _service_of_target().get(target)
        if service is None:
            raise _unmapped(request)
        return Call(service, operation, _cbor(await request.read()), headers)
    if request.content_type == FORM and request.method == "POST":
        return _query(signed_for(request), (await request.read()).decode(errors="replace"), headers)
    return await _rest(request, headers)


def signed_for(request: web.Request) -> str:
    """Return boto3's name of the service that a request is signed for. Raises AwsError when it is unsigned."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    scope = request.query.get("X-Amz-Credential", "").split("/")
    service = signing_service(headers) or (scope[3] if len(scope) == 5 else None)
    if service is None:
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    return BOTO_NAMES.get(service, service)


def _query(service: str, body: str, headers: Mapping[str, str]) -> Call:
    values = MultiDict((name, value) for name, found in parse_qs(body).items() for value in found)
    operation = values.get("Action", "")
    model = get_service_model(service)
    if operation not in model.operation_names:
        raise not_imitated(f"The operation {operation or '(none)'} of {service}")
    protocol = "ec2" if model.protocol == "ec2" else "query"
    parsed = _parse(protocol, model.operation_model(operation), values=values)
    return Call(service, operation, parsed, headers)


async def _rest(request: web.Request, headers: Mapping[str, str]) -> Call:
    service = signed_for(request)
    url = f"http://{request.host}{request.raw_path}"
    plain = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
    try:
        found = Request.from_primitives(request.method, url, plain, b"")
        operation, at = get_service_router(service).match(found)
    except (HTTPException, NotImplementedError) as error:
        raise _unmapped(request) from error
    parameters: dict[str, Any] = {**at, **request.query}
    if operation.name == "DeleteObjects":
        body = await request.read()
        protocol = str(operation.service_model.protocol)
        parameters |= _parse(protocol, operation, body=body, url_params=at, headers=request.headers)
    return Call(service, operation.name, parameters, headers)


def _parse(
    protocol: str,
    operation: Any,
    values: Any = None,
    body: bytes = b"",
    url_params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    try:
        found: dict[str, Any] = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": "POST",
                "values": MultiDict() if values is None else values,
                "headers": Headers(list((headers or {}).items())),
                "body": body,
                "url_path": "/",
                "url_params": dict(url_params or {}),
            }
        )
    except (RequestParserError, ValueError) as error:
        raise AwsError("MalformedInput", f"The request cannot be read: {error}") from error
    return found


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", f"The request body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise AwsError("SerializationException", "The request body is not a JSON object.")
    return found


def _cbor(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    found: dict[str, Any] = RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(body)))
    return found


@cache
def _service_of_target() -> dict[str, str]:
    """Map the X-Amz-Target of every service to boto3's name of it; of several with one target the first."""
    session, found = botocore.session.get_session(), dict[str, str]()
    for service in SERVICES_BY_TARGET:
        found.setdefault(session.get_service_model(service).metadata["targetPrefix"], service)
    return found


SERVICES_BY_TARGET = (
    *("sagemaker", "ecr", "application-autoscaling", "cloudwatch", "logs", "service-quotas", "kms", "ssm"),
    *("budgets", "resourcegroupstaggingapi", "secretsmanager", "dynamodb", "events"),
)
"""The services whose requests name their operation in a header, or in the path of CBOR."""


def _unmapped(request: web.Request) -> AwsError:
    return not_imitated(f"{request.method} {request.path} (LOCAL_AWS_IAM=enforce knows no operation for it)")
