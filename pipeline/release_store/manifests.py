"""Release manifests in the release bucket: written once, read by id."""

from pipeline.aws import AwsClient
from pipeline.errors import ReleaseError
from pipeline.release import MANIFEST, Release, parse_release


def release_key(release_id: str) -> str:
    """Return the key of a release's manifest in the bucket."""
    return f"releases/{release_id}/{MANIFEST}"


def fetch_release(release_id: str, aws: AwsClient) -> Release | None:
    """Return a release that was published before; None when there is none of that id."""
    found = aws.find("s3", "get_object", Bucket=aws.place.bucket, Key=release_key(release_id))
    if found is None:
        return None
    return parse_release(found["Body"].read().decode(), f"s3://{aws.place.bucket}/{release_key(release_id)}")


def published_release(release_id: str, aws: AwsClient) -> Release:
    """Return a release that was published before. Raises ReleaseError when there is none of that id."""
    found = fetch_release(release_id, aws)
    if found is None:
        raise ReleaseError(
            f"There is no release {release_id} in s3://{aws.place.bucket}.",
            fix="`python -m pipeline status` shows the ids of those that are live; publish makes new ones.",
        )
    return found
