"""The account under test: on an AWS of this machine, or on the real one; boto3 makes every call."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3

VARIABLE = "CONFORMANCE_"


@dataclass(frozen=True)
class AwsAccount:
    """One account and region, and what the tests need there.

    `scale` is AWS seconds per real second; a test waits at most `patience_seconds` (real) for what it expects, and
    polls every `poll_seconds`. Every name that is made begins with `prefix`.
    """

    client: Callable[..., Any]
    scale: float = 1.0
    image: str = "contract-server"
    role: str | None = None
    prefix: str = ""
    containers: bool = False
    """True when instances are containers, as always on AWS."""
    patience_seconds: float = 60.0
    poll_seconds: float = 0.01

    @cached_property
    def region(self) -> str:
        region: str = self.client("sts").meta.region_name
        return region

    @cached_property
    def account_id(self) -> str:
        account_id: str = self.client("sts").get_caller_identity()["Account"]
        return account_id

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a SageMaker resource."""
        return f"arn:aws:sagemaker:{self.region}:{self.account_id}:{kind}/{name}"

    def variables(self) -> dict[str, str]:
        """Return the variables that name this account to another process."""
        shown = {
            "image": self.image,
            "role": self.role or "",
            "prefix": self.prefix,
            "scale": str(self.scale),
        }
        return {f"{VARIABLE}{name.upper()}": value for name, value in shown.items()}


def account_from_environment(environ: Mapping[str, str] = os.environ) -> AwsAccount | None:
    """Return the account that `python -m conformance` has named; None when it does not run.

    A creation that fails for its health checks has taken 25 minutes on AWS, one for lack of capacity 30.
    """
    if f"{VARIABLE}IMAGE" not in environ:
        return None
    given = {name: environ[f"{VARIABLE}{name.upper()}"] for name in ("image", "role", "prefix")}
    scale = float(environ[f"{VARIABLE}SCALE"])
    return AwsAccount(
        boto3.client,
        scale,
        given["image"],
        given["role"] or None,
        given["prefix"],
        containers=True,
        patience_seconds=max(3600 / scale, 60.0),
        poll_seconds=min(5.0, 3 / scale),
    )
