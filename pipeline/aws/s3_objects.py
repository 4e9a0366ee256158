"""The parameters by which S3's operations name an object."""


def object_at(uri: str) -> dict[str, str]:
    """Return `Bucket` and `Key` of an object by its address, s3://BUCKET/KEY."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}
