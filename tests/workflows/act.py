"""The workflows run on this machine by nektos/act, in a fresh clone of HEAD, against the local AWS.

External actions are played by tests/workflows/actions/, the `gh` command by tests/workflows/commands/.
act enforces neither permissions nor environments nor concurrency: test_workflows.py reads those.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import local_aws
from local_aws.testing.github_issuer import GithubIssuer, Job

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
REPOSITORY = "ORG/REPO"
VENV = Path(sys.executable).parents[1]
ENVIRONMENTS = ("staging", "production")
USES = re.compile(r"uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40})")


@dataclass(frozen=True)
class Ended:
    """How a run ended. `jobs`: name → success or failure, of those that began. `steps`: that failed."""

    exit_code: int
    output: str
    jobs: Mapping[str, str]
    failed: tuple[str, ...]


def clone(to: Path) -> Path:
    """Clone HEAD of this repository, as a push would have left it on GitHub."""
    subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(to)], check=True)
    origin = f"https://github.com/{REPOSITORY}"
    subprocess.run(["git", "-C", str(to), "remote", "set-url", "origin", origin], check=True)
    return to


def stand_ins(checkout: Path) -> list[str]:
    """Options that lead each pinned action to its stand-in; one without is fetched, which fails at once."""
    used = set()
    for path in sorted((checkout / ".github").rglob("*.yml")):
        used |= set(USES.findall(path.read_text()))
    return [
        f"--local-repository={name}@{pin}={HERE / 'actions' / name.partition('/')[2]}"
        for name, pin in sorted(used)
        if (HERE / "actions" / name.partition("/")[2]).is_dir()
    ]


@dataclass(frozen=True)
class Act:
    """One machine to run workflows on: a clone, an AWS, GitHub's issuer, and a place for what act writes."""

    checkout: Path
    aws: local_aws.Running
    issuer: GithubIssuer
    scratch: Path
    account: str = "123456789012"

    @property
    def artifacts(self) -> Path:
        return self.scratch / "artifacts"

    def run(
        self,
        event: str,
        workflow: str,
        *,
        inputs: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        seconds: float = 900,
    ) -> Ended:
        """Run one workflow to its end. `variables`: beside those that `bootstrap` has one set."""
        self.artifacts.mkdir(parents=True, exist_ok=True)
        payload = self.scratch / "event.json"
        payload.write_text(json.dumps({"inputs": dict(inputs or {}), "ref": "refs/heads/main"}))
        known = {
            "AWS_ROLE_ARN": f"arn:aws:iam::{self.account}:role/digits-deploy-{{environment}}",
            "AWS_REGION": "eu-west-1",
            "AWS_ACCOUNT_ID": self.account,
            **(variables or {}),
        }
        log = self.scratch / f"{len(list(self.scratch.glob('*.jsonl')))}-{workflow}.jsonl"
        with log.open("w") as written:
            ended = subprocess.run(
            [
                str(VENV / "bin" / "act"), event, "--workflows", f".github/workflows/{workflow}",
                "--platform", "ubuntu-latest=-self-hosted", "--eventpath", str(payload), "--json",
                "--no-cache-server", "--action-cache-path", str(self.scratch / "act"),
                "--defaultbranch", "main", "--secret", "GITHUB_TOKEN=none",
                *stand_ins(self.checkout),
                *(f"--var={name}={value}" for name, value in known.items() if value),
                *(f"--input={name}={value}" for name, value in (inputs or {}).items()),
                *(f"--env={name}={value}" for name, value in self._environ().items()),
            ],
            cwd=self.checkout, env=self._outer(), stdout=written, stderr=subprocess.STDOUT, timeout=seconds,
        )  # fmt: skip
        return self._ended(ended.returncode, log.read_text())

    def _environ(self) -> dict[str, str]:
        """What every step finds in its environment."""
        asked = {
            name: self.issuer.job_environ(Job(REPOSITORY, environment=name, ids=(12, 345)))
            for name in ENVIRONMENTS
        }
        reached = {name: value for name, value in self.aws.environ.items() if "KEY" not in name}
        return {
            **reached,
            "ACTIONS_ID_TOKEN_REQUEST_URL": asked["staging"]["ACTIONS_ID_TOKEN_REQUEST_URL"],
            **{
                f"STAND_IN_BEARER_{name.upper()}": found["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
                for name, found in asked.items()
            },
            "STAND_INS": str(HERE / "actions"),
            "STAND_IN_VENV": str(VENV),
            "STAND_IN_ARTIFACTS": str(self.artifacts),
            "STAND_IN_ATTESTED": str(self.scratch / "attested"),
            "STAND_IN_GH": str(self.scratch / "gh.jsonl"),
            "DOCKER_CONFIG": str(self.scratch / "docker"),
        }

    def _outer(self) -> dict[str, str]:
        """What act itself is started with: no credentials, and our commands before the machine's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_"))}
        return kept | {
            "PATH": f"{HERE / 'commands'}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(self.scratch / "cache"),
            "ACT_LOG_LEVEL": "info",
        }

    def _ended(self, exit_code: int, log: str) -> Ended:
        said = log.splitlines()
        lines = [json.loads(line) for line in said if line.startswith("{")]
        jobs = {str(line["job"]): str(line["jobResult"]) for line in lines if "jobResult" in line}
        text = "\n".join(f"[{line.get('job', '')}] {line.get('msg', '').rstrip()}" for line in lines)
        output = "\n".join([text, *(line for line in said if not line.startswith("{"))])
        assert "Skipping unsupported platform" not in output, output
        failed = tuple(
            str(line["step"])
            for line in lines
            if line.get("stepResult") == "failure" and "STEP" not in str(line.get("stage", "")).upper()
        )
        return Ended(exit_code, output, jobs, failed)
