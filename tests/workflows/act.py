"""nektos/act runs the workflows on this machine, in a fresh clone of HEAD, against the local AWS.

tests/workflows/actions/ has fakes of the external actions, tests/workflows/commands/ a fake of `gh`.
act enforces neither permissions nor environments nor concurrency: test_workflows.py checks those in the files.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import local_aws
from local_aws.testing.github_issuer import GithubIssuer, Job
from tests.github_api import TOKEN, GithubServer

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
REPOSITORY = "ORG/REPO"
VENV = Path(sys.executable).parents[1]
ENVIRONMENTS = ("staging", "production")
UNKNOWN_TO_ACT = re.compile(r"^ +(queue: max|deployment: false)\b.*\n", re.MULTILINE)  # keys of 2026
USES = re.compile(r"uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40})")


@dataclass(frozen=True)
class RunResult:
    """The end of a run. `jobs`: success or failure by name, of the jobs that began; `failed`: steps."""

    exit_code: int
    output: str
    jobs: Mapping[str, str]
    failed: tuple[str, ...]


def clone(to: Path) -> Path:
    """Clone HEAD of this repository, as it would be on GitHub after a push, but for keys that act refuses."""
    subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(to)], check=True)
    origin = f"https://github.com/{REPOSITORY}"
    subprocess.run(["git", "-C", str(to), "remote", "set-url", "origin", origin], check=True)
    for path in (to / ".github" / "workflows").glob("*.yml"):
        path.write_text(UNKNOWN_TO_ACT.sub("", path.read_text()))
    return to


def fake_actions(checkout: Path) -> list[str]:
    """Return the options that replace each pinned action by its fake; act would fetch one without a fake, and fail."""
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
    """A runner of workflows: a clone, an AWS, GitHub's token issuer and its API, and a folder for act's files."""

    checkout: Path
    aws: local_aws.Running
    issuer: GithubIssuer
    github: GithubServer
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
        options: Sequence[str] = (),
        seconds: float = 900,
    ) -> RunResult:
        """Run one workflow to its end. `variables`: in addition to those that `bootstrap` prints; `options`: act's."""
        self.artifacts.mkdir(parents=True, exist_ok=True)
        payload = self.scratch / "event.json"
        payload.write_text(json.dumps({"inputs": dict(inputs or {}), "ref": "refs/heads/main"}))
        known = {
            "AWS_ROLE_ARN": f"arn:aws:iam::{self.account}:role/digits-deploy-{{environment}}",
            "AWS_REGION": "eu-west-1",
            "AWS_ACCOUNT_ID": self.account,
            **(variables or {}),
        }
        number = len(list(self.scratch.glob("*.jsonl")))
        log = self.scratch / f"{number}-{workflow}.jsonl"
        with log.open("w") as written:
            done = subprocess.run(
            [
                str(VENV / "bin" / "act"), event, "--workflows", f".github/workflows/{workflow}",
                "--platform", "ubuntu-24.04=-self-hosted", "--eventpath", str(payload), "--json",
                "--no-cache-server", "--action-cache-path", str(self.scratch / "act"),
                "--defaultbranch", "main", "--secret", f"GITHUB_TOKEN={TOKEN}",
                *fake_actions(self.checkout),
                *(f"--var={name}={value}" for name, value in known.items() if value),
                *(f"--input={name}={value}" for name, value in (inputs or {}).items()),
                *(f"--env={name}={value}" for name, value in self._environ().items()),
                f"--env=GITHUB_RUN_ID={number + 1}", # act gives each run the same
                *options,
            ],
            cwd=self.checkout, env=self._outer(), stdout=written, stderr=subprocess.STDOUT, timeout=seconds,
        )  # fmt: skip
        return self._parse_log(done.returncode, log.read_text())

    def _environ(self) -> dict[str, str]:
        """Return the environment variables of every step."""
        job_environs = {
            name: self.issuer.job_environ(Job(REPOSITORY, environment=name, ids=(12, 345)))
            for name in ENVIRONMENTS
        }
        aws = {name: value for name, value in self.aws.environ.items() if "KEY" not in name}
        return {
            **aws,
            "GITHUB_API_URL": self.github.url,
            "ACTIONS_ID_TOKEN_REQUEST_URL": job_environs["staging"]["ACTIONS_ID_TOKEN_REQUEST_URL"],
            **{
                f"FAKE_BEARER_{name.upper()}": found["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
                for name, found in job_environs.items()
            },
            "FAKE_ACTIONS": str(HERE / "actions"),
            "FAKE_VENV": str(VENV),
            "FAKE_ARTIFACTS": str(self.artifacts),
            "FAKE_ATTESTED": str(self.scratch / "attested"),
            "FAKE_GH": str(self.scratch / "gh.jsonl"),
            "DOCKER_CONFIG": str(self.scratch / "docker"),
        }

    def _outer(self) -> dict[str, str]:
        """Return act's own environment variables: without credentials, and with our fake commands first on PATH."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_"))}
        return kept | {
            "PATH": f"{HERE / 'commands'}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(self.scratch / "cache"),
            "ACT_LOG_LEVEL": "info",
        }

    def _parse_log(self, exit_code: int, log: str) -> RunResult:
        """Read act's JSON lines: the result of each job, the failed steps, and the log as text."""
        raw = log.splitlines()
        lines = [json.loads(line) for line in raw if line.startswith("{")]
        jobs = {str(line["job"]).strip(): str(line["jobResult"]) for line in lines if "jobResult" in line}
        text = "\n".join(f"[{line.get('job', '')}] {line.get('msg', '').rstrip()}" for line in lines)
        output = "\n".join([text, *(line for line in raw if not line.startswith("{"))])
        assert "Skipping unsupported platform" not in output, output
        failed = tuple(
            str(line["step"])
            for line in lines
            if line.get("stepResult") == "failure" and "STEP" not in str(line.get("stage", "")).upper()
        )
        return RunResult(exit_code, output, jobs, failed)
