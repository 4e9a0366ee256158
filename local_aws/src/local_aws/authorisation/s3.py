"""S3's operations as IAM's actions, which have other names.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from collections.abc import Iterator
from urllib.parse import unquote

from local_aws.authorisation.calls import Call
from local_aws.authorisation.conditions import Context
from local_aws.authorisation.protocols import Facts
from local_aws.authorisation.reference import action
from local_aws.errors import not_imitated

Asked = tuple[str, str, Context]

OBJECTS = {
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "GetObjectAttributes": "GetObject",
    "PutObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "ListParts": "ListMultipartUploadParts",
    "DeleteObject": "DeleteObject",
    "GetObjectTagging": "GetObjectTagging",
    "PutObjectTagging": "PutObjectTagging",
    "DeleteObjectTagging": "DeleteObjectTagging",
    "GetObjectAcl": "GetObjectAcl",
    "PutObjectAcl": "PutObjectAcl",
}
OF_A_VERSION = frozenset(
    {"GetObject", "DeleteObject", "GetObjectTagging", "PutObjectTagging", "GetObjectAcl"}
)
BUCKETS = {
    "ListObjectsV2": "ListBucket",
    "ListObjects": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "DeleteBucketTagging": "PutBucketTagging",
}
MAKES_AN_OBJECT = frozenset({"PutObject", "CompleteMultipartUpload", "CopyObject"})
CREATES = "s3:objectcreationoperation"


def s3_actions(call: Call, facts: Facts) -> Iterator[Asked]:
    """Yield (action, resource, condition keys) of a call to S3. Raises AwsError for one that is not mapped."""
    bucket, key = str(call.parameters.get("Bucket", "")), str(call.parameters.get("Key", ""))
    place = f"arn:aws:s3:::{bucket}"
    if call.operation in ("CopyObject", "UploadPartCopy"):
        yield from _copied(call)
        yield "s3:PutObject", f"{place}/{key}", _creation(call)
    elif call.operation == "DeleteObjects":
        for each in call.parameters["Delete"]["Objects"]:
            name = "DeleteObjectVersion" if each.get("VersionId") else "DeleteObject"
            yield f"s3:{name}", f"{place}/{each['Key']}", {}
    elif call.operation in OBJECTS:
        yield from _of_object(call, f"{place}/{key}")
        if call.operation in ("GetObject", "HeadObject") and not facts.has_object(bucket, key):
            yield "s3:ListBucket", place, {}  # without it, an absent object is a 403 and no 404
    elif call.operation == "ListBuckets":
        yield "s3:ListAllMyBuckets", "*", {}
    else:
        name = BUCKETS.get(call.operation, call.operation)
        if action("s3", name) is None or not bucket:
            raise not_imitated(f"s3:{call.operation} is unmapped for LOCAL_AWS_IAM=enforce. The operation")
        yield f"s3:{name}", place, {}


def _of_object(call: Call, resource: str) -> Iterator[Asked]:
    name = OBJECTS[call.operation]
    if call.parameters.get("versionId") and name in OF_A_VERSION:
        name = name.replace("Object", "ObjectVersion", 1)
    more = _creation(call) if name == "PutObject" else {}
    yield f"s3:{name}", resource, more
    if name == "PutObject" and call.headers.get("x-amz-tagging"):
        yield "s3:PutObjectTagging", resource, {}
    if name == "PutObject" and call.headers.get("x-amz-acl"):
        yield "s3:PutObjectAcl", resource, {}
    if name == "PutObject" and call.headers.get("if-match"):
        yield "s3:GetObject", resource, {}


def _creation(call: Call) -> dict[str, list[str]]:
    """Return s3:ObjectCreationOperation: false for what only prepares an object.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
    """
    return {CREATES: ["true" if call.operation in MAKES_AN_OBJECT else "false"]}


def _copied(call: Call) -> Iterator[Asked]:
    source, _, query = unquote(call.headers["x-amz-copy-source"]).lstrip("/").partition("?")
    name = "GetObjectVersion" if query else "GetObject"
    yield f"s3:{name}", f"arn:aws:s3:::{source}", {}
