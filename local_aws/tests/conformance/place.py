"""Where the tests of this folder run: an AWS on this machine, or the real one. Everything is asked by boto3."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3

VARIABLE = "CONFORMANCE_"


@dataclass(frozen=True)
class Place:
    """One account and region, and what the tests need there.

    `scale` is AWS seconds per real second; `patience_seconds` is how long (real) a test waits for what it expects,
    looking every `poll_seconds`. Every name that is made begins with `prefix`.
    """

    client: Callable[..., Any]
    scale: float = 1.0
    image: str = "contract-server"
    role: str | None = None
    prefix: str = ""
    containers: bool = False
    """Whether instances are containers: on AWS always."""
    patience_seconds: float = 60.0
    poll_seconds: float = 0.01

    @cached_property
    def region(self) -> str:
        region: str = self.client("sts").meta.region_name
        return region

    @cached_property
    def account(self) -> str:
        account: str = self.client("sts").get_caller_identity()["Account"]
        return account

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a SageMaker resource."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name}"

    def variables(self) -> dict[str, str]:
        """Tell another process of this place, but for its clients."""
        shown = {
            "image": self.image,
            "role": self.role or "",
            "prefix": self.prefix,
            "scale": str(self.scale),
        }
        return {f"{VARIABLE}{name.upper()}": value for name, value in shown.items()}


def place_of(environ: Mapping[str, str] = os.environ) -> Place | None:
    """The place that `python -m conformance` has named; None when it does not run.

    A creation that fails for its health checks has taken 25 minutes on AWS, one for lack of capacity 30.
    """
    if f"{VARIABLE}IMAGE" not in environ:
        return None
    given = {name: environ[f"{VARIABLE}{name.upper()}"] for name in ("image", "role", "prefix")}
    scale = float(environ[f"{VARIABLE}SCALE"])
    return Place(
        boto3.client,
        scale,
        given["image"],
        given["role"] or None,
        given["prefix"],
        containers=True,
        patience_seconds=max(3600 / scale, 60.0),
        poll_seconds=min(5.0, 3 / scale),
    )
