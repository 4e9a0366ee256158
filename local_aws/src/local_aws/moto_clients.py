"""boto3 clients of moto for the parts of this AWS: weights from S3, logs to CloudWatch Logs."""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local_aws.instances import InstanceSpec, Line
from local_aws.places import HOME, Place

LOG_BATCH = 5000
LONGEST_EVENT = 200_000

log = logging.getLogger(__name__)


class MotoClients:
    """boto3 clients of the moto behind the front door, in one account and Region; they block, and any thread may use them."""

    def __init__(self, moto_url: str, place: Place = HOME) -> None:
        self._url, self._place = moto_url, place

    def client(self, service: str) -> Any:
        """Make a client."""
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return self._session.client(service, endpoint_url=self._url, config=config)

    @cached_property
    def _session(self) -> Any:
        return boto3.Session(self._place.account, "local-aws", region_name=self._place.region)

    @cached_property
    def _s3(self) -> Any:
        return self.client("s3")

    @cached_property
    def _logs(self) -> Any:
        return self.client("logs")

    def read(self, bucket: str, key: str) -> bytes:
        """Read an object. Raises KeyError when there is none."""
        try:
            content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise KeyError(f"s3://{bucket}/{key}") from error
        return content

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """List the keys below a prefix. Raises KeyError when there is no such bucket."""
        try:
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return [item["Key"] for page in pages for item in page.get("Contents", [])]
        except ClientError as error:
            raise KeyError(f"s3://{bucket}") from error

    def put(self, bucket: str, key: str, file: Path) -> None:
        """Write an object. Raises KeyError when there is no such bucket."""
        try:
            with file.open("rb") as content:
                self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        except ClientError as error:
            raise KeyError(f"s3://{bucket}/{key}") from error

    async def keep_logs(self, spec: InstanceSpec, instance_id: str, lines: Sequence[Line]) -> None:
        """Put an instance's lines into its log stream, so that `aws logs tail` shows them."""
        await self._keep(*endpoint_log(spec, instance_id), lines)

    async def keep_log(self, group: str, stream: str, text: str) -> None:
        """Put the lines of a text, with the time of now, into a log stream, made if need be."""
        now = time.time()
        await self._keep(group, stream, [Line(now, line) for line in text.splitlines()])

    async def _keep(self, group: str, stream: str, lines: Sequence[Line]) -> None:
        try:
            await asyncio.to_thread(self._put_logs, group, stream, lines)
        except (BotoCoreError, ClientError) as error:
            log.warning("the log %s of %s was not kept: %s", stream, group, error)

    def _put_logs(self, group: str, stream: str, lines: Sequence[Line]) -> None:
        self._create("create_log_group", logGroupName=group)
        self._create("create_log_stream", logGroupName=group, logStreamName=stream)
        events = [
            {"timestamp": int(line.at * 1000), "message": line.text[:LONGEST_EVENT]}
            for line in lines
            if line.text
        ]
        for batch in _batches(events):
            self._logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=batch)

    def _create(self, operation: str, **names: str) -> None:
        try:
            getattr(self._logs, operation)(**names)
        except self._logs.exceptions.ResourceAlreadyExistsException:
            return


def endpoint_log(spec: InstanceSpec, instance_id: str) -> tuple[str, str]:
    """Return log group and log stream of an instance."""
    return f"/aws/sagemaker/Endpoints/{spec.endpoint}", f"{spec.variant}/{instance_id}"


def _batches(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for first in range(0, len(events), LOG_BATCH):
        yield events[first : first + LOG_BATCH]
