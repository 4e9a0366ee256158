"""The rules for tags that the API's model leaves to the service.

Source: docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html (the prefix `aws:` is reserved, in
any case) and the reference of AddTags (a key is unique for a resource). The wording is this AWS's own.
"""

from collections.abc import Mapping, Sequence

from local_aws.errors import invalid

RESERVED = "aws:"


def check_tags(tags: Sequence[Mapping[str, str]]) -> None:
    """Return when a request may set these tags. Raises AwsError."""
    keys = [tag["Key"] for tag in tags]
    reserved = [key for key in keys if key.lower().startswith(RESERVED)]
    if reserved:
        raise invalid(f"Tag keys that begin with {RESERVED} are reserved for AWS: {', '.join(reserved)}.")
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise invalid(f"Tag keys must be unique; given more than once: {', '.join(twice)}.")
