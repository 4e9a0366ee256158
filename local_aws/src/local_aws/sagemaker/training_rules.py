"""Checks of CreateTrainingJob requests, and the paths of a channel's files (pure)."""

from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.errors import invalid, not_imitated

REQUIRED = ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition")
VERBATIM = frozenset({"HyperParameters", "Environment", "Tags"})
ANY = None
IMITATED: dict[str, tuple[Any, ...] | None] = {
    **dict.fromkeys(("TrainingJobName", "RoleArn", "AlgorithmSpecification", "TrainingImage"), ANY),
    **dict.fromkeys(("InputDataConfig", "ChannelName", "ContentType", "DataSource", "S3DataSource"), ANY),
    **dict.fromkeys(("S3Uri", "OutputDataConfig", "S3OutputPath", "ResourceConfig", "InstanceType"), ANY),
    **dict.fromkeys(("VolumeSizeInGB", "StoppingCondition", "MaxRuntimeInSeconds"), ANY),
    **dict.fromkeys(("TrainingInputMode", "InputMode"), ("File",)),
    "S3DataType": ("S3Prefix",),
    "S3DataDistributionType": ("FullyReplicated",),
    "RecordWrapperType": ("None",),
    "CompressionType": ("None", "GZIP"),  # of a channel; of the output
    "InstanceCount": (1,),
    "EnableNetworkIsolation": (False,),
    "EnableInterContainerTrafficEncryption": (False,),
    "EnableManagedSpotTraining": (False,),
}
"""Every field that is imitated or kept, with the values it may have."""


def check_training_job(request: Mapping[str, Any]) -> None:
    """Check a job of one image on one instance with data from S3. Raises AwsError."""
    _check_fields(request)
    for name in REQUIRED:
        if name not in request:
            raise invalid(f"{name} is required to create a training job.")
    if "TrainingImage" not in request["AlgorithmSpecification"]:
        raise invalid("AlgorithmSpecification needs a TrainingImage.")
    if not {"InstanceType", "InstanceCount"} <= request["ResourceConfig"].keys():
        raise invalid("ResourceConfig needs InstanceType and InstanceCount.")
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(names)) != len(names):
        raise invalid("The channel names of a training job must differ.")
    for channel in request.get("InputDataConfig", []):
        if "S3DataSource" not in channel["DataSource"]:
            raise invalid(f"Channel {channel['ChannelName']} needs an S3DataSource.")


def channel_files(keys: Iterable[str], prefix: str) -> dict[str, str]:
    """Return the path of each key in its channel's directory: below the prefix as a folder, else by its last part.

    Keys that end with "/" (what the console makes for a folder) are no files.
    """
    files = [key for key in keys if not key.endswith("/")]
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if any(key.startswith(folder) for key in files):
        return {key: key[len(folder) :] for key in files if key.startswith(folder)}
    return {key: key[prefix.rfind("/") + 1 :] for key in files}


def _check_fields(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _check_fields(item)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name in VERBATIM:
                continue
            if name not in IMITATED:
                raise not_imitated(f"{name} of CreateTrainingJob")
            allowed = IMITATED[name]
            if allowed is not ANY and inner not in allowed:
                raise not_imitated(f"{name} {inner} of CreateTrainingJob")
            _check_fields(inner)
