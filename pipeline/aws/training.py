"""Training jobs through the SageMaker SDK's resources.

`ModelTrainer` is not used: the SDK's Session asks the regional STS whatever AWS_ENDPOINT_URL says. The SDK
takes a second and a half to import, so it is imported where it is used.
"""

from collections.abc import Mapping
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.aws.calls import Call
from pipeline.aws.refusals import explained

# Members whose keys are the user's own, not the API's.
VERBATIM = frozenset({"HyperParameters", "Environment"})


def create_training_job(call: Call, region: str) -> None:
    """Make a planned CreateTrainingJob through `sagemaker.core.resources.TrainingJob`.

    Raises AwsRefused or AwsUnreachable.
    """
    from sagemaker.core.resources import TrainingJob

    try:
        session = boto3.Session(
            region_name=region
        )  # without one the SDK keeps the first client of the process
        TrainingJob.create(**sdk_parameters(call.params), session=session, region=region)
    except (ClientError, BotoCoreError) as error:
        raise explained("sagemaker create_training_job", error) from error


def sdk_parameters(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request of the API with the SDK's names: `S3DataSource` is `s3_data_source`."""
    return {
        xform_name(key): value if key in VERBATIM else _sdk_value(value) for key, value in request.items()
    }


def _sdk_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return sdk_parameters(value)
    return [_sdk_value(each) for each in value] if isinstance(value, list) else value
