"""The journey: a baseline is live; a new release is published, deployed, verified and promoted."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal import accounts, commands, roles, traffic
from rehearsal.accounts import Place, place_of
from rehearsal.cpu_share import cpu_share
from rehearsal.errors import RehearsalError
from rehearsal.live_check import LiveEndpoint, check_live_endpoint
from rehearsal.machine import Machine, cache_dir
from rehearsal.machine_load import MachineLoad, watched
from rehearsal.model_config import config_without_comparison
from rehearsal.models import CONFIG, RehearsalModel, config_of, local_model, prepare_models
from rehearsal.progress import Progress, Row

PREPARE, START, BASELINE = "prepare the models", "start the local AWS", "put a baseline live"
PUBLISH, DEPLOY, AUTOSCALE = "publish the release", "deploy to staging", "autoscale staging"
VERIFY, PROMOTE, CHECK = "verify in staging", "promote to production", "check the live endpoints"
STEPS = [PREPARE, START, BASELINE, PUBLISH, DEPLOY, AUTOSCALE, VERIFY, PROMOTE, CHECK]
ENVIRONMENTS = ("staging", "production")

RunCommand = Callable[..., None]  # takes the words after `python -m`


@dataclass
class Outcome:
    """The result of the journey, as far as it came. `clients`: requests and failures by endpoint."""

    release: str = "none"
    live: list[LiveEndpoint] = field(default_factory=list)
    clients: dict[str, tuple[int, int]] = field(default_factory=dict)
    identities: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Account with Region, and role of the jobs, by environment."""


@dataclass
class Journey:
    """One run: its folder (`build`), the machine, the progress display, and the environment of its commands."""

    build: Path
    machine: Machine
    progress: Progress
    load: MachineLoad
    config: Path = CONFIG
    """The folder of the environments' files."""
    environ: dict[str, str] = field(default_factory=dict)
    """Variables of the local AWS."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Account and Region of each environment."""
    jobs: dict[str, dict[str, str]] = field(default_factory=dict)
    """Variables of the jobs of each environment, once its role is there."""

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[RunCommand]:
        """Show one step while the block runs; yield a function that runs a command of the step."""
        row = self.progress.start(name)
        try:
            yield lambda *words, environ=None: self._run(row, list(words), environ or self.environ)
        except RehearsalError as error:
            self.progress.end(row, failed=True)
            raise self.load.judged(error, name, row.started) from error
        except BaseException:
            self.progress.end(row, failed=True)
            raise
        self.progress.end(row)

    def _run(self, row: Row, words: list[str], environ: dict[str, str]) -> None:
        number = STEPS.index(row.name) + 1
        name = "-".join(word for word in words[:4] if word[0] not in "-/")
        log = self.build / "logs" / f"{number}-{name}.log"
        commands.run(words, environ, log, lambda line: self.progress.show_line(row, line))

    def pipeline(
        self, run: RunCommand, step: str, environment: str, *more: str, build: Path | None = None
    ) -> None:
        """Run `python -m pipeline STEP --env ENVIRONMENT --build BUILD …` as the environment's role, if it has one."""
        folders = ("--config", str(self.config), "--build", str(build or self.build))
        words = ("pipeline", step, "--env", environment, *folders, *more)
        run(*words, environ=self.jobs.get(environment) or self.administrator(environment))

    def administrator(self, environment: str) -> dict[str, str]:
        """Return the variables of the administrator of an environment's account, who bootstraps, and of its clients."""
        return self.places[environment].administrator(self.environ)

    def replicate(self, run: RunCommand, build: Path | None = None) -> None:
        """Copy the release to production's account, where it is another one."""
        if self.places["staging"] != self.places["production"]:
            self.pipeline(run, "replicate", "production", build=build)

    @property
    def publish_options(self) -> tuple[str, ...]:
        """Without containers `publish` builds no image."""
        return () if self.machine.instances == "docker" else ("--no-engine",)


@dataclass(frozen=True)
class Source:
    """The model to rehearse with. None: what config names. `requests`: to record a golden set from."""

    model: Path | None = None
    requests: Path | None = None
    config: Path = CONFIG


def rehearse(build: Path, machine: Machine, source: Source, progress: Progress, outcome: Outcome) -> None:
    """Run the whole journey and fill `outcome`. Raises RehearsalError at the first failure."""
    shutil.rmtree(build, ignore_errors=True)
    (build / "logs").mkdir(parents=True)
    with progress, watched(machine.instances) as load:
        journey = Journey(build, machine, progress, load, config=source.config)
        with journey.step(PREPARE):
            configs = {name: config_of(name, source.config) for name in ENVIRONMENTS}
            journey.places = {name: place_of(config) for name, config in configs.items()}
            staging = configs["staging"]
            model = source.model or local_model(staging["weights"], f"{source.config / 'staging'}.yaml")
            log = build / "logs" / "1-models.log"
            baseline, release = prepare_models(model, source.requests, build, cache_dir(), log)
            limit_seconds = staging["limits"]["p99_ms"] / 1000
            share = cpu_share(release, staging["endpoint"]["instance_type"], limit_seconds)
            progress.show_line(progress.rows[0], str(share))
            if source.model is not None:
                journey.config = config_without_comparison(configs, build / "config", source.config)
        with contextlib.ExitStack() as stack:
            with journey.step(START):
                issuer = stack.enter_context(roles.issuer(build / "tokens", ENVIRONMENTS))
                own = {"LOCAL_AWS_INSTANCES": machine.instances, "LOCAL_AWS_OIDC_ISSUERS": issuer.setting}
                own |= share.settings | accounts.settings(journey.places.values())
                aws = commands.local_aws(own, build / "logs" / "2-local_aws.log")
                journey.environ = stack.enter_context(aws)
            _put_baseline_live(journey, baseline, issuer)
            endpoints = [_step_result(build / "baseline", env, "deploy")["endpoint"] for env in ENVIRONMENTS]
            rate = share.clients_per_second
            with contextlib.ExitStack() as clients:
                for name, endpoint in zip(ENVIRONMENTS, endpoints, strict=True):
                    environ = journey.administrator(name)
                    clients.enter_context(
                        traffic.background_clients(endpoint, baseline.golden, build, environ, rate)
                    )
                _deliver_release(journey, release)
            with journey.step(CHECK):
                _check(journey, release.golden, endpoints, outcome)


def _put_baseline_live(journey: Journey, model: RehearsalModel, issuer: roles.Issuer) -> None:
    """Bootstrap as the administrator; all that follows is done by the roles that this makes."""
    baseline = journey.build / "baseline"
    with journey.step(BASELINE) as run:
        for environment in ENVIRONMENTS:
            journey.pipeline(run, "bootstrap", environment, *roles.BOOTSTRAP, build=baseline)
            role = _step_result(baseline, environment, "bootstrap")["roles"][environment]
            administrator = journey.administrator(environment)
            journey.jobs[environment] = issuer.role_environ(administrator, environment, role)
        options = (*model.publish_options, *journey.publish_options)
        journey.pipeline(run, "publish", "staging", *options, build=baseline)
        journey.pipeline(run, "deploy", "staging", build=baseline)
        journey.replicate(run, baseline)
        journey.pipeline(run, "deploy", "production", build=baseline)


def _deliver_release(journey: Journey, model: RehearsalModel) -> None:
    with journey.step(PUBLISH) as run:
        journey.pipeline(run, "publish", "staging", *model.publish_options, *journey.publish_options)
    with journey.step(DEPLOY) as run:
        journey.pipeline(run, "preflight", "staging")
        journey.pipeline(run, "deploy", "staging")
    with journey.step(AUTOSCALE) as run:
        journey.pipeline(run, "autoscale", "staging")
    with journey.step(VERIFY) as run:
        journey.pipeline(run, "verify", "staging", "--profile", "quick")
    with journey.step(PROMOTE) as run:
        journey.replicate(run)
        journey.pipeline(run, "preflight", "production")
        journey.pipeline(run, "promote", "production")


def _check(journey: Journey, golden: Path, endpoints: list[str], outcome: Outcome) -> None:
    """Require that both environments serve the new release under a scaling policy."""
    build = journey.build
    outcome.release = json.loads((build / "release.json").read_text())["id"]
    outcome.clients = {name: traffic.totals(traffic.read_result(build, name)) for name in endpoints}
    outcome.live = [
        check_live_endpoint(
            environment,
            _step_result(build, environment, "deploy"),
            golden,
            journey.administrator(environment),
        )
        for environment in ENVIRONMENTS
    ]
    outcome.identities = {
        name: (str(place), journey.jobs[name]["AWS_ROLE_ARN"].rpartition("/")[2])
        for name, place in journey.places.items()
    }
    for each in outcome.live:
        if each.release != outcome.release:
            raise RehearsalError(
                f"{each.environment} serves release {each.release}, not {outcome.release}.",
                fix="Read the log of its deploy step.",
            )
        if each.policy_target is None:
            raise RehearsalError(
                f"{each.endpoint} has no scaling policy in force.", fix="Read the log of its autoscale step."
            )


def _step_result(build: Path, environment: str, step: str) -> Mapping[str, Any]:
    """Read the result that a step of the pipeline wrote."""
    result: Mapping[str, Any] = json.loads((build / environment / f"{step}.json").read_text())["result"]
    return result
