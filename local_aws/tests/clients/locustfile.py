"""A locustfile as somebody else would write it: boto3 within a User, the endpoint from the environment."""

import os
import time

import boto3
from locust import User, constant, task

CLIENT = boto3.client("sagemaker-runtime")


class Caller(User):  # type: ignore[misc]  # locust is untyped here
    """A user that invokes the endpoint again and again."""

    wait_time = constant(0.01)

    @task  # type: ignore[untyped-decorator]
    def ask(self) -> None:
        began, length, failure = time.perf_counter(), 0, None
        try:
            answer = CLIENT.invoke_endpoint(EndpointName=os.environ["ENDPOINT"], Body=b"hello")
            length = len(answer["Body"].read())
        except Exception as error:
            failure = error
        self.environment.events.request.fire(
            request_type="invoke",
            name="ask",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=length,
            exception=failure,
            context={},
        )
