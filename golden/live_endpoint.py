"""Ask a live SageMaker endpoint. The one module of this package that needs boto3: the image does without it."""

import gzip
import io
import tarfile
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from golden.cases import Answer, GoldenError, GoldenSet, Request
from golden.files import FILE, LEGACY_FILE, parse

_ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=70)


@dataclass(frozen=True)
class Reply:
    """A container's answer as SageMaker passes it on, and the custom attributes that came with it.

    SageMaker answers 200 for every success. Of a refusal it gives status and body, without content type.
    """

    message: Answer
    attributes: str = ""


def invoke(runtime: Any, endpoint: str, request: Request) -> Reply:
    """Send a request once by a client of SageMaker Runtime; read the answer to its end.

    The container's own refusals are answers. Raises botocore's ClientError when SageMaker itself refuses, and
    EventStreamError for a stream that breaks.
    """
    words: dict[str, Any] = {
        "EndpointName": endpoint, "Body": request.body, "ContentType": request.content_type,
        **({"Accept": request.accept} if request.accept else {}),
        **({"CustomAttributes": request.custom_attributes} if request.custom_attributes else {}),
    }  # fmt: skip
    try:
        if request.is_stream:
            found = runtime.invoke_endpoint_with_response_stream(**words)
            body = b"".join(
                event["PayloadPart"]["Bytes"] for event in found["Body"] if "PayloadPart" in event
            )
        else:
            found = runtime.invoke_endpoint(**words)
            body = found["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "ModelError" or "OriginalStatusCode" not in error.response:
            raise
        message = str(error.response.get("OriginalMessage", ""))
        return Reply(Answer(int(error.response["OriginalStatusCode"]), "", message.encode()))
    return Reply(Answer(200, found.get("ContentType", ""), body), found.get("CustomAttributes", ""))


class LiveEndpoint:
    """An endpoint by name, in the account and Region of the environment's credentials."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._runtime = boto3.client("sagemaker-runtime", config=_ONCE)

    def ask(self, request: Request) -> Answer:
        """Send a request once. The container's own refusals are answers.

        Raises GoldenError when SageMaker itself refuses, or cannot be reached.
        """
        try:
            return invoke(self._runtime, self.name, request).message
        except (ClientError, BotoCoreError) as error:
            raise _unanswered(self.name, error) from error


def golden_set_of(endpoint: str) -> GoldenSet:
    """Read the golden set in the model archive that an endpoint serves. Raises GoldenError when there is none."""
    try:
        uri = _model_archive_of(endpoint)
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        packed = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        found = _members(packed)
    except (ClientError, BotoCoreError, tarfile.TarError, gzip.BadGzipFile, EOFError) as error:
        raise _unanswered(endpoint, error) from error
    for name in (FILE, LEGACY_FILE):
        if name in found:
            return parse(found[name], f"{uri}/{name}")
    raise GoldenError(f"{uri} holds no {FILE}.", fix="Name the golden set: --golden FILE.")


def _model_archive_of(endpoint: str) -> str:
    sagemaker = boto3.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=variants[0]["ModelName"])
    uri = str(model["PrimaryContainer"].get("ModelDataUrl", ""))
    if not uri:
        raise GoldenError(
            f"Model {model['ModelName']} has no archive.", fix="Name the golden set: --golden FILE."
        )
    return uri


def _members(packed: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        named = ((member.name.removeprefix("./"), member) for member in tar)
        wanted = [(name, tar.extractfile(member)) for name, member in named if name in (FILE, LEGACY_FILE)]
        return {name: content.read() for name, content in wanted if content}


def _unanswered(name: str, error: Exception) -> GoldenError:
    return GoldenError(
        f"{name} was not asked: {error}", fix="Check the name, the Region and the credentials."
    )
