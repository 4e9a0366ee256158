"""The place of a call: account and Region by its signature, and repositories by their path."""

import pytest

from local_aws.places import HOME, Place, account_in, at, is_administrator, path_of, place_of, split_path
from local_aws.sagemaker.role_rights import repository_arn

SCOPE = "Credential={}/20261201/{}/sagemaker/aws4_request"
ELSEWHERE = Place("210987654321", "eu-central-1")


@pytest.mark.parametrize(
    ("key", "region", "place"),
    [
        ("local-aws", "eu-west-1", HOME),
        ("210987654321", "eu-central-1", ELSEWHERE),
        ("AKIANOBODYS", "us-east-1", Place(region="us-east-1")),
    ],
)
def test_a_signature_names_account_and_region(key: str, region: str, place: Place) -> None:
    header = f"AWS4-HMAC-SHA256 {SCOPE.format(key, region)}, SignedHeaders=host, Signature=0"
    url = {"X-Amz-Credential": f"{key}/20261201/{region}/s3/aws4_request"}

    assert place_of({"authorization": header}, {}) == place
    assert place_of({}, url) == place


@pytest.mark.parametrize("header", ["", "Basic QVdTOng=", "AWS4-HMAC-SHA256 Credential=local-aws/20261201"])
def test_a_request_without_a_whole_signature_is_at_home(header: str) -> None:
    assert place_of({"authorization": header}, {}) == HOME


@pytest.mark.parametrize("key", ["21098765432", "2109876543210", "ASIA21098765432", "local"])
def test_only_twelve_digits_are_an_administrators_key(key: str) -> None:
    assert not is_administrator(key)
    assert is_administrator("210987654321")


@pytest.mark.parametrize(("name", "place"), [("digits", HOME), ("team/digits", ELSEWHERE)])
def test_a_repository_is_found_by_its_path(name: str, place: Place) -> None:
    assert split_path(path_of(name, place)) == (place, name)


def test_an_arn_without_account_has_none() -> None:
    assert account_in("arn:aws:s3:::bucket/key") == ""
    assert account_in("arn:aws:iam::210987654321:role/x") == "210987654321"
    assert account_in("*") == ""


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        (
            "127.0.0.1:4566/210987654321.eu-central-1/digits@sha256:0",
            "eu-central-1:210987654321:repository/digits",
        ),
        ("127.0.0.1:4566/team/digits:1", "eu-west-1:123456789012:repository/team/digits"),
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com/digits:1", "us-east-1:111122223333:repository/digits"),
        ("contract-server", "eu-central-1:210987654321:repository/contract-server"),
    ],
)
def test_the_repository_of_an_image_is_in_the_account_of_its_registry(image: str, repository: str) -> None:
    with at(ELSEWHERE):
        assert repository_arn(image) == f"arn:aws:ecr:{repository}"
