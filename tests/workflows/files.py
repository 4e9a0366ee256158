"""The workflow files as documents, and what their jobs do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
SIGN_IN = "./.github/actions/sign-in"
CHANGES = re.compile(r"pipeline (deploy|promote|rollback|destroy|after-promotion)\b")
YAML_ON: Any = True  # YAML 1.1 reads the key `on` as true


def read(path: Path) -> dict[str, Any]:
    """Return a workflow or an action as a document with the key `on`."""
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    document["on"] = document.pop(YAML_ON, document.get("on", {}))
    return document


def jobs(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the jobs of a workflow by id."""
    yield from read(path).get("jobs", {}).items()


def every_job() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every job of every workflow as `FILE: ID`."""
    for path in WORKFLOWS:
        for name, job in jobs(path):
            yield f"{path.name}: {name}", job


def job(file: str, name: str) -> dict[str, Any]:
    """Return one job."""
    return dict(jobs(FOLDER / file))[name]


def steps(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the steps of a workflow's jobs, or of an action."""
    yield from read(path).get("runs", {}).get("steps", [])
    for _, each in jobs(path):
        yield from each.get("steps", [])


def runs(job: dict[str, Any]) -> list[str]:
    """Return the command lines of a job."""
    return [step["run"] for step in job.get("steps", []) if "run" in step]


def events(path: Path) -> set[str]:
    """Return the events that start a workflow."""
    found = read(path)["on"]
    return {found} if isinstance(found, str) else set(found)


def uses(job: dict[str, Any]) -> set[str]:
    """Return the workflow or the actions that a job uses."""
    return {job.get("uses", ""), *(step.get("uses", "") for step in job.get("steps", []))}


def environment(job: dict[str, Any]) -> str | None:
    """Return the name of a job's GitHub environment; None without one."""
    found = job.get("environment")
    return found["name"] if isinstance(found, dict) else found


def makes_deployment(job: dict[str, Any]) -> bool:
    """Return whether GitHub lists the job among the deployments to its environment."""
    found = job.get("environment")
    return found is not None and not (isinstance(found, dict) and found.get("deployment") is False)


def jobs_with_role() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every job that assumes a role on AWS."""
    for name, each in every_job():
        if SIGN_IN in uses(each):
            yield name, each


def callers(workflow: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every job that calls a workflow of this repository."""
    for name, each in every_job():
        if each.get("uses") == f"./.github/workflows/{workflow}":
            yield name, each
