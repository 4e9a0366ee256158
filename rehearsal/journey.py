"""The journey: a baseline is live; a new release is published, deployed, verified and promoted."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from rehearsal import commands, traffic
from rehearsal.machine import ROOT, Machine, RehearsalError, cache_dir
from rehearsal.progress import Progress, Row
from rehearsal.proof import Live, look_at
from rehearsal.training import LOCAL_TREE, trained_model

TRAIN, START, BASELINE = "train the model", "start the local AWS", "put a baseline live (committed weights)"
PUBLISH, DEPLOY, AUTOSCALE = "publish the release", "deploy to staging", "autoscale staging"
VERIFY, PROMOTE, PROVE = "verify in staging", "promote to production", "prove what is live"
STEPS = [TRAIN, START, BASELINE, PUBLISH, DEPLOY, AUTOSCALE, VERIFY, PROMOTE, PROVE]
ENVIRONMENTS = ("staging", "production")


@dataclass
class Outcome:
    """What the journey found; filled as far as it came."""

    release: str = "none"
    live: list[Live] = field(default_factory=list)
    clients: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Journey:
    """One run: where it writes (`build`), on what machine, and how it shows itself."""

    build: Path
    machine: Machine
    progress: Progress
    environ: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Callable[..., None]]:
        """Show one step; yields what runs a command of that step."""
        row = self.progress.start(name)
        try:
            yield lambda *words: self._run(row, list(words))
        except BaseException:
            self.progress.end(row, failed=True)
            raise
        self.progress.end(row)

    def _run(self, row: Row, words: list[str]) -> None:
        number = STEPS.index(row.name) + 1
        log = (
            self.build
            / "logs"
            / f"{number}-{'-'.join(word for word in words[:4] if word[0] not in '-/')}.log"
        )
        commands.run(words, self.environ, log, lambda line: self.progress.say(row, line))

    def pipeline(
        self, run: Callable[..., None], step: str, env: str, *more: str, build: Path | None = None
    ) -> None:
        run("pipeline", step, "--env", env, "--build", str(build or self.build), *more)

    @property
    def publishing(self) -> tuple[str, ...]:
        return () if self.machine.instances == "docker" else ("--no-engine",)


def rehearse(build: Path, machine: Machine, console: Console) -> tuple[Outcome, list[Row]]:
    """Run the whole journey; the rows tell how far it came. Raises RehearsalError at the first failure."""
    shutil.rmtree(build, ignore_errors=True)
    (build / "logs").mkdir(parents=True)
    outcome = Outcome()
    with Progress(STEPS, console) as progress:
        journey = Journey(build, machine, progress)
        try:
            _travel(journey, outcome)
        except RehearsalError as error:
            error.rows = progress.rows
            raise
    return outcome, progress.rows


def _travel(journey: Journey, outcome: Outcome) -> None:
    build = journey.build
    with journey.step(TRAIN):
        weights = trained_model(cache_dir(), build / "logs" / "1-train.log")
    with contextlib.ExitStack() as stack:
        with journey.step(START):
            aws = commands.local_aws(journey.machine.instances, build / "logs" / "2-local_aws.log")
            journey.environ = stack.enter_context(aws)
        _put_baseline_live(journey)
        endpoints = [_record(build / "baseline", env, "deploy")["endpoint"] for env in ENVIRONMENTS]
        with traffic.clients(endpoints, LOCAL_TREE / "model" / "golden.json", build, journey.environ):
            _release(journey, weights)
        with journey.step(PROVE):
            outcome.release = json.loads((build / "release.json").read_text())["id"]
            outcome.clients = {name: traffic.totals(traffic.read_result(build, name)) for name in endpoints}
            outcome.live = [
                look_at(env, _record(build, env, "deploy"), weights / "golden.json", journey.environ)
                for env in ENVIRONMENTS
            ]
            _require(outcome)


def _put_baseline_live(journey: Journey) -> None:
    baseline = journey.build / "baseline"
    with journey.step(BASELINE) as run:
        for env in ENVIRONMENTS:
            journey.pipeline(run, "bootstrap", env, build=baseline)
        journey.pipeline(run, "publish", ENVIRONMENTS[0], *journey.publishing, build=baseline)
        for env in ENVIRONMENTS:
            journey.pipeline(run, "deploy", env, build=baseline)


def _release(journey: Journey, weights: Path) -> None:
    with journey.step(PUBLISH) as run:
        journey.pipeline(run, "publish", "staging", "--weights", str(weights), *journey.publishing)
    with journey.step(DEPLOY) as run:
        journey.pipeline(run, "preflight", "staging")
        journey.pipeline(run, "deploy", "staging")
    with journey.step(AUTOSCALE) as run:
        journey.pipeline(run, "autoscale", "staging")
    with journey.step(VERIFY) as run:
        journey.pipeline(run, "verify", "staging", "--profile", "quick")
    with journey.step(PROMOTE) as run:
        journey.pipeline(run, "preflight", "production")
        journey.pipeline(run, "promote", "production")


def _record(build: Path, env: str, step: str) -> Mapping[str, Any]:
    result: Mapping[str, Any] = json.loads((build / env / f"{step}.json").read_text())["result"]
    return result


def _require(outcome: Outcome) -> None:
    for one in outcome.live:
        if one.release != outcome.release:
            raise RehearsalError(
                f"{one.environment} was left on {one.release}, not on {outcome.release}.",
                fix="Read the log of its deploy step.",
            )
        if one.policy_target is None:
            raise RehearsalError(
                f"{one.endpoint} has no scaling policy in force.", fix="Read the log of its autoscale step."
            )


def report(journey_build: Path, outcome_title: str, environ: Mapping[str, str]) -> Path:
    """Write the HTML report from the files that the steps left; return its path."""
    page = journey_build / "report.html"
    loads = sorted(journey_build.glob("traffic-*.json")) + sorted(journey_build.glob("*/load/*.json"))
    results = [
        path
        for path in loads
        if "phases" in (content := json.loads(path.read_text())) and "endpoint" in content
    ]
    words = ["load_tests.report", "--title", outcome_title, "--out", str(page)]
    for path in results:
        words += ["--load", f"{path.stem.removeprefix('traffic-')}={path}"]
    for option, pattern in (("--evidence", "*/evidence.json"), ("--release", "release.json")):
        for path in sorted(journey_build.glob(pattern)):
            words += [option, str(path)]
    for env in ENVIRONMENTS:
        for path in sorted((journey_build / env).glob("*.json")):
            if path.name not in ("evidence.json", "capacity.json"):
                words += ["--steps", str(path)]
    commands.run(words, environ, journey_build / "logs" / "report.log", lambda _: None)
    return page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
