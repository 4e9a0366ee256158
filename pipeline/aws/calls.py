"""A planned write to AWS, as data: plans are made, shown and tested without AWS."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """One write: `operation` in boto3's own name, its parameters, and the sentence shown for it."""

    service: str
    operation: str
    params: Mapping[str, Any]
    says: str
