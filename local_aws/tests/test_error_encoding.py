"""Errors in each protocol of AWS, read by botocore's own parsers."""

import pytest
from botocore.parsers import create_parser

from local_aws.error_encoding import encode_error

SIGNED = "AWS4-HMAC-SHA256 Credential=key/20260101/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("protocol", "headers"),
    [
        ("json", {"X-Amz-Target": "SageMaker.CreateModel", "Content-Type": "application/x-amz-json-1.1"}),
        ("rest-json", {"Authorization": SIGNED.format("lambda")}),
        ("query", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}),
        ("rest-xml", {"Authorization": SIGNED.format("s3")}),
        ("smithy-rpc-v2-cbor", {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}),
    ],
)
def test_botocore_reads_code_and_sentence_in_every_protocol(protocol: str, headers: dict[str, str]) -> None:
    error = encode_error(headers, "SomeCode", 'It is <not> "imitated" – ü')
    response = {"status_code": error.status, "headers": error.headers, "body": error.body}
    parsed = create_parser(protocol).parse(response, None)

    assert parsed["Error"]["Code"] == "SomeCode"
    assert parsed["Error"]["Message"] == 'It is <not> "imitated" – ü'
