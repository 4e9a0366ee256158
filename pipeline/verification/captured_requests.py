"""Requests of clients with the answers that the live release gave, as SageMaker's data capture has stored them."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import golden
from pipeline.aws import AwsClient
from pipeline.config import Environment
from pipeline.state.records import last_deployment

MOST_REQUESTS = 100
MOST_FILES = 20  # the newest; each has the requests of some minutes


def captured_cases(env: Environment, config: str, aws: AwsClient) -> tuple[golden.Case, ...]:
    """Return the newest captured requests that the live `config` answered, each with its answer; none without capture.

    `aws`: of the environment. Requests from before the config was live are another release's, and are left out.
    """
    capture, last = env.endpoint.data_capture, last_deployment(aws, env.name)
    if capture is None or {*capture.content} != {"input", "output"} or last is None or last.config != config:
        return ()
    keys = aws.keys(f"{capture.prefix}/{env.endpoint.name}/{env.endpoint.variant}/")
    cases: list[golden.Case] = []
    for key in keys[::-1][:MOST_FILES]:
        found = aws.find("s3", "get_object", Bucket=env.aws.bucket, Key=key)
        text = found["Body"].read().decode() if found else ""
        cases += parse_captured(text, key, since=last.in_service_at)
        if len(cases) >= MOST_REQUESTS:
            break
    return tuple(cases[:MOST_REQUESTS])


def parse_captured(text: str, where: str, *, since: float) -> Iterator[golden.Case]:
    """Yield the requests of a file of data capture that were answered since then, epoch seconds; others are left out."""
    for number, line in enumerate(text.splitlines(), 1):
        try:
            record = json.loads(line)
            at = datetime.fromisoformat(
                record["eventMetadata"]["inferenceTime"].replace("Z", "+00:00")
            ).timestamp()
            asked, answered = (record["captureData"][side] for side in ("endpointInput", "endpointOutput"))
            request = golden.Request(_body(asked), content_type=asked["observedContentType"])
            expected = golden.Expected(_body(answered), content_type=answered.get("observedContentType", ""))
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            continue  # a request that was captured in part, such as one that failed
        if at >= since:
            comparison = golden.Comparison("json" if _is_json(expected.body) else "bytes")
            yield golden.Case(
                request,
                golden.Expected(expected.body, expected.content_type, comparison=comparison),
                name=f"{where}:{number}",
            )


def _body(side: Mapping[str, Any]) -> bytes:
    data: str = side["data"]
    return base64.b64decode(data, validate=True) if side["encoding"] == "BASE64" else data.encode()


def _is_json(body: bytes | None) -> bool:
    try:
        json.loads(body or b"")
    except ValueError:
        return False
    return True
