"""LOCAL_AWS_STRICT_AUTH=1: signed requests pass in every protocol, others are refused."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

import local_aws
from testbed.serving import NO_RETRY, SETTINGS, Serving, refused

pytestmark = pytest.mark.starts_processes

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_aws.Running]:
    root = tmp_path_factory.mktemp("strict")
    with local_aws.start(**SETTINGS, strict_auth=True, state_dir=root, cache_dir=root) as aws:
        aws.client("s3").create_bucket(
            Bucket="signed", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        yield aws


def signed_by(aws: local_aws.Running, *credentials: str, service: str = "sagemaker") -> Any:
    session = boto3.Session(*credentials, region_name="eu-west-1")
    return session.client(service, endpoint_url=aws.url, config=NO_RETRY)


def test_every_protocol_is_accepted_when_it_is_signed(strict: local_aws.Running) -> None:
    s3 = strict.client("s3")
    s3.put_object(Bucket="signed", Key="a b+ü/c", Body=b"content" * 1000)
    serving = Serving(strict)

    assert s3.get_object(Bucket="signed", Key="a b+ü/c")["Body"].read() == b"content" * 1000
    assert s3.list_objects_v2(Bucket="signed", Prefix="a b+ü", MaxKeys=1)["KeyCount"] == 1
    assert strict.client("sts").get_caller_identity()["Account"] == "123456789012"  # query
    assert "Metrics" in strict.client("cloudwatch").list_metrics()  # cbor
    assert strict.client("lambda").list_functions()["Functions"] == []  # rest-json
    assert serving.invoke(serving.endpoint(serving.config("one"))).release == "one"
    serving.close()


def test_a_signed_url_is_accepted_and_a_changed_one_is_not(strict: local_aws.Running) -> None:
    s3 = strict.client("s3", config=Config(signature_version="s3v4"))
    s3.put_object(Bucket="signed", Key="shared", Body=b"content")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "shared"})

    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"content"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("shared", "other"), timeout=10)
    with caught.value as error:
        assert error.code == 403


@pytest.mark.parametrize("sent", [b"another", b"y" * 3_000_000])
def test_an_object_whose_body_is_not_the_signed_one_is_refused_and_not_kept(
    strict: local_aws.Running, sent: bytes
) -> None:
    """As somebody between client and S3 would change it: the signature is good, of the body it was made for."""
    s3 = strict.client("s3")
    meant = b"z" * len(sent)

    def change(request: Any, **_: Any) -> None:
        request.body = sent

    s3.meta.events.register("before-send.s3.PutObject", change)
    assert "does not match" in refused(
        "XAmzContentSHA256Mismatch", s3.put_object, Bucket="signed", Key="changed", Body=meant
    )
    assert s3.list_objects_v2(Bucket="signed", Prefix="changed")["KeyCount"] == 0
    s3.meta.events.unregister("before-send.s3.PutObject", change)
    s3.put_object(Bucket="signed", Key="changed", Body=meant)
    assert s3.get_object(Bucket="signed", Key="changed")["Body"].read() == meant
    s3.delete_object(Bucket="signed", Key="changed")


def test_another_secret_is_refused(strict: local_aws.Running) -> None:
    refused("SignatureDoesNotMatch", signed_by(strict, "local-aws", "another").list_endpoints)


def test_an_unknown_access_key_is_refused(strict: local_aws.Running) -> None:
    s3 = signed_by(strict, "nobody", "local-aws", service="s3")

    refused("UnrecognizedClientException", s3.list_buckets)


def test_the_session_of_a_role_is_known_with_its_token_alone(strict: local_aws.Running) -> None:
    iam = strict.client("iam")
    role = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    session = strict.client("sts").assume_role(RoleArn=role, RoleSessionName="one")["Credentials"]
    keys = (session["AccessKeyId"], session["SecretAccessKey"])

    assert signed_by(strict, *keys, session["SessionToken"]).list_endpoints()["Endpoints"] == []
    refused("UnrecognizedClientException", signed_by(strict, *keys, "another").list_endpoints)


@pytest.mark.parametrize("body", [b"{}", b'{"NameContains": "a"}'])
def test_an_unsigned_request_is_refused(strict: local_aws.Running, body: bytes) -> None:
    headers = {"X-Amz-Target": "SageMaker.ListEndpoints", "Content-Type": "application/x-amz-json-1.1"}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(strict.url, body, headers), timeout=10)

    with caught.value as error:
        assert (error.code, json.load(error)["__type"]) == (403, "MissingAuthenticationToken")


def test_status_and_faults_need_no_signature(strict: local_aws.Running) -> None:
    with strict.fault("throttle", operation="ListModels"):
        assert strict.status()["faults"][0]["kind"] == "throttle"
