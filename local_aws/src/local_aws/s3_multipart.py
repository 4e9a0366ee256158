"""Checksums of objects that were uploaded in parts: of the completion, of its answer, and of the object.

moto checks none of them, leaves them out of the answer, and HeadObject's composite one lacks the number of parts
(getmoto/moto#8875, #8762). Sources of S3's words: floci-io/floci#3093, apache/opendal#4580.
"""

import re
from collections.abc import Mapping
from typing import Any

from moto.s3.utils import compute_checksum

from local_aws.errors import AwsError

COMPOSITE = "COMPOSITE"
_PART = re.compile(rb"<Part>(.*?)</Part>", re.DOTALL)
_NUMBER = re.compile(rb"<PartNumber>(\d+)</PartNumber>")
_END = "</CompleteMultipartUploadResult>"
_NO_SUCH_PART = (
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified "
    "entity tag may not match the part's entity tag."
)


def check_completion(multipart: Any, body: bytes) -> None:
    """Return when the completion of an upload names each part's checksum, as a composite one needs. Raises AwsError."""
    algorithm = multipart.metadata.get("x-amz-checksum-algorithm")
    if algorithm is None or multipart.metadata.get("x-amz-checksum-type", COMPOSITE) != COMPOSITE:
        return
    for part in _PART.findall(body):
        number = _NUMBER.search(part)
        given = re.search(rf"<Checksum{algorithm}>([^<]+)<".encode(), part)
        if number is None or int(number[1]) not in multipart.parts:
            continue  # moto refuses it
        if given is None:
            raise AwsError(
                "InvalidRequest",
                f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
                f"checksum for each part. It was missing for part {int(number[1])} in the request.",
            )
        if given[1] != compute_checksum(multipart.parts[int(number[1])].value, algorithm):
            raise AwsError("InvalidPart", _NO_SUCH_PART)


def checksum_of(key: Any) -> str:
    """Return the checksum of an object as S3 writes it: a composite one is followed by the number of parts."""
    is_composite = key.checksum_type == COMPOSITE and key.checksum_parts
    return f"{key.checksum_value}-{key.checksum_parts}" if is_composite else str(key.checksum_value)


def with_checksum(answer: str, key: Any) -> str:
    """Add its checksum to the answer that completes an object's upload."""
    if not key.checksum_algorithm:
        return answer
    name = f"Checksum{key.checksum_algorithm}"
    added = f"<{name}>{checksum_of(key)}</{name}><ChecksumType>{key.checksum_type}</ChecksumType>"
    return answer.replace(_END, f"{added}{_END}")


def qualified(headers: Mapping[str, str], key: Any) -> dict[str, str]:
    """Return the headers of an object with its checksum as S3 writes it."""
    name = f"x-amz-checksum-{str(key.checksum_algorithm).lower()}"
    return {**headers, **({name: checksum_of(key)} if name in headers else {})}
