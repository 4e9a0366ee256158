"""A repository on GitHub and an account on AWS, both on this machine, made ready by `bootstrap`."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import local_aws
from pipeline.names import release_of
from tests.workflows.act import Act, RunResult

BUCKET = "digits-releases-123456789012"
QUICK_PROFILE = {"VERIFY_PROFILE": "quick"}


@dataclass(frozen=True)
class Sandbox:
    """Runs workflows with `act`, and reads from `aws` what they did."""

    act: Act
    aws: local_aws.Running

    def live(self, environment: str) -> str | None:
        """Return the release that an environment serves; None without an endpoint that is InService."""
        endpoints = self.aws.client("sagemaker").list_endpoints()["Endpoints"]
        if f"digits-{environment}" not in {each["EndpointName"] for each in endpoints}:
            return None
        endpoint = self.endpoint(environment)
        assert endpoint["EndpointStatus"] == "InService"
        return release_of(endpoint["EndpointConfigName"])

    def endpoint(self, environment: str) -> dict[str, Any]:
        """Call DescribeEndpoint for an environment."""
        found: dict[str, Any] = self.aws.client("sagemaker").describe_endpoint(
            EndpointName=f"digits-{environment}"
        )
        return found

    def traffic_type(self, environment: str) -> str:
        """Return the traffic shifting of the last deployment, such as CANARY."""
        policy = self.endpoint(environment)["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]
        return str(policy["TrafficRoutingConfiguration"]["Type"])

    def published(self) -> dict[str, Any]:
        """Read the release manifest that the last run passed from job to job."""
        manifest: dict[str, Any] = json.loads((self.act.artifacts / "release" / "release.json").read_text())
        return manifest

    def evidence(self, release: str) -> dict[str, Any]:
        """Read the evidence of a release in staging from S3."""
        key = f"evidence/{release}/staging.json"
        body = self.aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        found: dict[str, Any] = json.loads(body)
        return found

    def attested(self) -> list[str]:
        """Read which digests were attested, and by what."""
        return (self.act.scratch / "attested").read_text().splitlines()

    def attest_known_images(self) -> None:
        """Attest what the registry has already: the images that an earlier run of this machine pushed."""
        ecr = self.aws.client("ecr")
        uri = ecr.describe_repositories(repositoryNames=["digits"])["repositories"][0]["repositoryUri"]
        pages = ecr.get_paginator("describe_images").paginate(repositoryName="digits")
        lines = [
            f"{uri}@{each['imageDigest']} provenance\n" for page in pages for each in page["imageDetails"]
        ]
        (self.act.scratch / "attested").write_text("".join(lines))

    def gh_calls(self) -> list[list[str]]:
        """Read the arguments of every call of `gh` so far."""
        return [json.loads(line) for line in (self.act.scratch / "gh.jsonl").read_text().splitlines()]

    def commit(self, path: Path, edit: Callable[[str], str]) -> None:
        """Commit an edit of one file, as a developer would push it."""
        file = self.act.checkout / path
        file.write_text(edit(file.read_text() if file.is_file() else ""))
        author = ["-c", "user.name=dev", "-c", "user.email=dev@example.com"]
        for words in (["add", str(path)], ["commit", "--quiet", "-m", "A change"]):
            subprocess.run(["git", "-C", str(self.act.checkout), *author, *words], check=True)

    def push(self) -> RunResult:
        """Run release.yml as a push does."""
        return self.act.run("push", "release.yml", variables=QUICK_PROFILE)

    def dispatch(self, workflow: str, **inputs: str) -> RunResult:
        """Run a workflow by hand, with its inputs."""
        return self.act.run("workflow_dispatch", workflow, inputs=inputs)
