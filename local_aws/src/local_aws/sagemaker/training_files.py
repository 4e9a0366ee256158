"""The files of a training job: read from S3 and written to it. These calls block."""

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from local_aws.sagemaker.training_rules import channel_files

REASON_CHARACTERS = 1024


class JobFailed(Exception):
    """A job failed; the text is its FailureReason."""


class Storage(Protocol):
    """The calls of S3 and CloudWatch Logs that a job needs."""

    def keys(self, bucket: str, prefix: str) -> list[str]: ...
    def read(self, bucket: str, key: str) -> bytes: ...
    def put(self, bucket: str, key: str, file: Path) -> None: ...
    async def keep_log(self, group: str, stream: str, text: str) -> None: ...


def write_input(request: Mapping[str, Any], root: Path, storage: Storage) -> None:
    """Put configuration and channels where SageMaker puts them. Raises JobFailed."""
    resources = request["ResourceConfig"]
    channels = {channel["ChannelName"]: channel for channel in request.get("InputDataConfig", [])}
    files = {
        "hyperparameters.json": request.get("HyperParameters", {}),
        "inputdataconfig.json": {name: _channel_config(channel) for name, channel in channels.items()},
        "resourceconfig.json": {
            "current_host": "algo-1",
            "current_instance_type": resources["InstanceType"],
            "hosts": ["algo-1"],
            "network_interface_name": "eth0",
        },
    }
    for file, content in files.items():
        (root / "input" / "config" / file).write_text(json.dumps(content))
    for name, channel in channels.items():
        directory = root / "input" / "data" / name
        directory.mkdir()
        _download(channel["DataSource"]["S3DataSource"]["S3Uri"], directory, storage)


def _channel_config(channel: Mapping[str, Any]) -> dict[str, str]:
    content = {"ContentType": channel["ContentType"]} if "ContentType" in channel else {}
    return content | {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }


def _download(uri: str, directory: Path, storage: Storage) -> None:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    try:
        paths = channel_files(storage.keys(bucket, prefix), prefix)
        if not paths:
            raise JobFailed(f"ClientError: Data download failed: there is no object at {uri}")
        for key, path in paths.items():
            if ".." in Path(path).parts:
                raise JobFailed(f"ClientError: Data download failed: {key} leaves the channel's directory")
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(storage.read(bucket, key))
    except (KeyError, OSError) as error:
        raise JobFailed(f"ClientError: Data download failed: {error} ({uri})") from error


def failure_reason(root: Path, code: int) -> str:
    """Return the FailureReason for exit code `code`, with the text of /opt/ml/output/failure."""
    failure = root / "output" / "failure"
    text = failure.read_text(errors="replace")[:REASON_CHARACTERS].strip() if failure.is_file() else ""
    ending = f", exit code: {code}"
    return f"AlgorithmError: {text}"[: REASON_CHARACTERS - len(ending)] + ending


def upload(request: Mapping[str, Any], root: Path, storage: Storage) -> str | None:
    """Pack /opt/ml/model and /opt/ml/output/data and put them into S3; return the model's URI, if it has any."""
    bucket, _, prefix = request["OutputDataConfig"]["S3OutputPath"].removeprefix("s3://").partition("/")
    folder = "/".join(part for part in (prefix.strip("/"), request["TrainingJobName"], "output") if part)
    found = None
    for source, name in (("model", "model.tar.gz"), ("output/data", "output.tar.gz")):
        directory = root / source
        if not directory.is_dir() or not any(directory.iterdir()):
            continue
        packed = root.parent / name
        with tarfile.open(packed, "w:gz") as tar:
            for path in sorted(directory.iterdir()):
                tar.add(path, path.name)
        try:
            storage.put(bucket, f"{folder}/{name}", packed)
        except KeyError as error:
            raise JobFailed(f"ClientError: Artifact upload failed: there is no bucket {bucket}") from error
        except PermissionError as error:
            raise JobFailed(f"ClientError: Artifact upload failed: {error}") from error
        if source == "model":
            found = f"s3://{bucket}/{folder}/{name}"
    return found
