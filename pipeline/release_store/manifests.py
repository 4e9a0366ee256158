"""Release manifests in the release bucket: written once, read by id."""

from pipeline.aws import AwsClient
from pipeline.errors import ReleaseError
from pipeline.release import MANIFEST, GoldenRecord, Release, parse_release


def release_key(release_id: str) -> str:
    """Return the key of a release's manifest in the bucket."""
    return f"releases/{release_id}/{MANIFEST}"


def added_golden_key(release_id: str) -> str:
    """Return the key of the golden set that was added to an UNCHECKED release. No manifest is ever replaced."""
    return f"releases/{release_id}/golden.json"


def fetch_release(release_id: str, aws: AwsClient) -> Release | None:
    """Return a release that was published before; None when there is none of that id.

    With the golden set that was added to it since, if it was published without one.
    """
    found = aws.find("s3", "get_object", Bucket=aws.place.bucket, Key=release_key(release_id))
    if found is None:
        return None
    where = f"s3://{aws.place.bucket}/{release_key(release_id)}"
    release = parse_release(found["Body"].read().decode(), where)
    added = aws.get_json(added_golden_key(release_id)) if release.unchecked else None
    return release if added is None else release.with_golden(GoldenRecord.model_validate(added))


def published_release(release_id: str, aws: AwsClient) -> Release:
    """Return a release that was published before. Raises ReleaseError when there is none of that id."""
    found = fetch_release(release_id, aws)
    if found is None:
        raise ReleaseError(
            f"There is no release {release_id} in s3://{aws.place.bucket}.",
            fix="`python -m pipeline status` shows the ids of those that are live; publish makes new ones.",
        )
    return found
