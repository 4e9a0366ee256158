"""curl as a client: any program that signs with AWS Signature Version 4 can invoke an endpoint."""

import subprocess
from pathlib import Path

import boto3

import golden
from smoke_tests.client import Client

BOUND_SECONDS = 70  # SageMaker answers within 60 s


def post(client: Client, body: Path, request: golden.Request) -> tuple[int, bytes]:
    """Send the file unchanged, with the headers of `request`; return the HTTP status and the body of the answer.

    The keys go to curl's standard input, so that no list of processes shows them.
    Raises LookupError without credentials, and AssertionError with curl's message when it fails.
    """
    found = boto3.Session().get_credentials()
    if found is None:
        raise LookupError("no AWS credentials are configured")
    keys = found.get_frozen_credentials()
    options = {
        "url": client.invocations_url,
        "aws-sigv4": f"aws:amz:{client.region}:sagemaker",
        "user": f"{keys.access_key}:{keys.secret_key}",
        "data-binary": f"@{body}",
        "write-out": r"\n%{http_code}",
        "max-time": str(BOUND_SECONDS),
    }
    headers = [f"Content-Type: {request.content_type}"]
    headers += [f"Accept: {request.accept}"] if request.accept else []
    if request.custom_attributes:
        headers.append(f"X-Amzn-SageMaker-Custom-Attributes: {request.custom_attributes}")
    headers += [f"X-Amz-Security-Token: {keys.token}"] if keys.token else []
    lines = [f'{name} = "{value}"' for name, value in options.items()]
    lines += [f'header = "{_escaped(header)}"' for header in headers]
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--config", "-"],
        input="\n".join(lines).encode(),
        capture_output=True,
        timeout=BOUND_SECONDS + 10,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"curl exits {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    answer, _, status = done.stdout.rpartition(b"\n")
    return int(status), answer


def _escaped(value: str) -> str:
    """Escape a value for curl's configuration."""
    return value.replace("\\", r"\\").replace('"', r"\"")
