"""Each command as one function from an order to its result; the CLI and the journey run the same ones."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.account.bootstrap import bootstrap
from pipeline.account.bootstrap_github import GithubAccess, GithubRepository, bootstrap_github
from pipeline.account.collect import collect
from pipeline.account.cost import PRICES, load_prices
from pipeline.account.destroy import destroy
from pipeline.autoscaling.autoscale import autoscale
from pipeline.aws import AwsClient
from pipeline.aws.validation import require_valid
from pipeline.commands.step_runner import Say, logging_to, run_step
from pipeline.config import Environment, environments, load_environment
from pipeline.deployment.deploy import deploy
from pipeline.deployment.difference import PlanResult, describe_plan, lines_of
from pipeline.deployment.observe import observe, observe_live, require_live
from pipeline.deployment.plan import plan_deployment
from pipeline.errors import ConfigError
from pipeline.model import Model
from pipeline.preflight.preflight import PreflightResult, PreflightSnapshot, inspect, require_clear
from pipeline.promotion.after_promotion import after_promotion
from pipeline.promotion.chain import chain_to, following
from pipeline.promotion.promote import promote
from pipeline.promotion.rollback import rollback
from pipeline.promotion.status import Overview, environment_status, show
from pipeline.publishing.image import CONTAINER
from pipeline.publishing.publish import origin_of, publish
from pipeline.publishing.train import train
from pipeline.release import MANIFEST, RELEASE_ID, Release, load_release
from pipeline.release_store.manifests import published_release
from pipeline.run import Run
from pipeline.state.audit import AuditTrail, audit_lines
from pipeline.state.lock import unlock
from pipeline.state.records import StepRecord
from pipeline.verification.evidence import Profile
from pipeline.verification.load_shapes import LoadTestOptions
from pipeline.verification.run_load_test import judge_joined, offer_share, run_load_test
from pipeline.verification.stored_evidence import find_capacity
from pipeline.verification.verify import verify

TABLE_COLUMNS = 150  # of a table in a log, where there is no terminal to ask


@dataclass(frozen=True)
class Order:
    """What was asked for: where, with which release, how."""

    env: Environment
    aws: AwsClient
    build: Path
    config: Path
    manifest: Path | None = None  # None: <build>/release.json
    weights: str | None = None
    engine: bool = True
    sbom: bool = True
    profile: Profile = "full"
    again: bool = False
    shape: str | None = None  # of config/shapes
    minutes: float | None = None  # of a load test; None: the shape's own
    times_rate: float = 1.0
    workers: int = 1
    payloads: str | None = None
    share: int | None = None  # of so many generators this is one
    at: float | None = None  # epoch seconds at which it begins
    join: Path | None = None  # where the generators' results are
    as_json: bool = False
    rollback_to: str | None = None  # None: the release before
    confirmed: str | None = None  # the name typed to destroy the environment
    every_environment: bool = False  # none was named: `env` is the first
    dry_run: bool = False
    keep: int = 0  # releases, and days, that `gc` leaves alone
    days: int = 0
    newest: int = 0  # lines that `audit` shows
    github_repo: str | None = None
    github_ids: str | None = None
    alert_email: str | None = None
    monthly_budget: int | None = None
    say: Say = print

    @property
    def run(self) -> Run:
        """Return what every step of this order carries."""
        return Run(self.env, self.aws, self.build)

    @property
    def release(self) -> Release:
        named = str(self.manifest or "")
        if RELEASE_ID.fullmatch(named):
            return published_release(named, self.aws)
        return load_release(self.manifest or self.build / MANIFEST)

    @property
    def known_release(self) -> str | None:
        """Name the release that there is a manifest of; None before there is one."""
        path = self.manifest or self.build / MANIFEST
        if RELEASE_ID.fullmatch(str(path)):
            return str(path)
        return load_release(path).id if path.is_file() else None


class JourneyResult(Model):
    """Which environments a release went through, and every call made on the way."""

    release: str
    environments: tuple[str, ...]
    calls: int


def _bootstrap(order: Order) -> Model:
    if order.github_repo is not None:
        repository = GithubRepository.parse(order.github_repo, order.github_ids)
        admission = GithubAccess(repository, order.alert_email, order.monthly_budget)
        envs = _of_this_account(order) if order.every_environment else [order.env]
        return bootstrap_github(admission, envs, order.run)
    if order.every_environment:
        raise ConfigError("bootstrap needs to know for what.", fix="Give --env NAME, --github-repo, or both.")
    return bootstrap(order.run)


def _of_this_account(order: Order) -> list[Environment]:
    all_of_them = [load_environment(name, order.config) for name in environments(order.config)]
    return [env for env in all_of_them if env.aws.account_id == order.env.aws.account_id]


def _publish(order: Order) -> Model:
    return publish(order.run, weights=order.weights, engine=order.engine, sbom=order.sbom)


def _train(order: Order) -> Model:
    origin = origin_of(CONTAINER)
    return train(order.run, origin, engine=order.engine, sbom=order.sbom)


def _preflight(order: Order) -> PreflightResult:
    result = inspect(PreflightSnapshot(order.release, order.run))
    if order.as_json:
        order.say(json.dumps(result.document(), indent=2))
    return require_clear(result)


def _plan(order: Order) -> PlanResult:
    """Show what is live, what will be, and every call between them; make none."""
    release = order.release
    planned = plan_deployment(release, order.env, observe(release, order.run))
    require_valid(planned.calls)
    result = describe_plan(release, order.env, planned, observe_live(order.run))
    if order.as_json:
        order.say(json.dumps(result.document(), indent=2))
    else:
        for line in lines_of(result, order.env.deployment.strategy):
            order.say(line)
    return result


def _deploy(order: Order) -> Model:
    return deploy(order.release, order.run)


def _autoscale(order: Order) -> Model:
    release = order.release
    capacity = find_capacity(release.id, order.run)
    require_live(release, order.run)
    return autoscale(order.run, capacity)


def _verify(order: Order) -> Model:
    return verify(
        order.release,
        order.run,
        order.profile,
        again=order.again,
        following=following(order.env.name, order.config),
        shape=order.shape,
        prices=load_prices(order.config) if (order.config / PRICES).is_file() else None,
    )


def _load_test(order: Order) -> Model:
    options = LoadTestOptions(
        shape=order.shape or "steps",
        minutes=order.minutes,
        times_rate=order.times_rate,
        workers=order.workers,
        payloads=order.payloads,
        share=order.share,
        at=order.at,
    )
    if order.join is not None:
        return judge_joined(order.join, options.shape, order.run)
    if order.share is not None:
        return offer_share(options, order.run)
    return run_load_test(options, order.run)


def _promote(order: Order) -> Model:
    """Promote, then do with the environment before what its config says."""
    result = promote(order.release, order.run)
    source = load_environment(str(order.env.promotes_from), order.config)
    after_promotion(order.run.in_environment(source))
    return result


def _rollback(order: Order) -> Model:
    return rollback(order.run, to=order.rollback_to)


def _status(order: Order) -> Overview:
    """Show every environment of this environment's account."""
    here = _of_this_account(order)
    overview = Overview(environments=tuple(environment_status(order.run.in_environment(env)) for env in here))
    if order.as_json:
        order.say(json.dumps(overview.document(), indent=2))
    else:
        from rich.console import Console

        show(overview.environments, Console(width=None if sys.stdout.isatty() else TABLE_COLUMNS))
    return overview


def _destroy(order: Order) -> Model:
    return destroy(order.run, confirmed=order.confirmed)


def _gc(order: Order) -> Model:
    envs = _of_this_account(order)
    return collect(envs, order.run, releases=order.keep, days=order.days, dry_run=order.dry_run)


def _audit(order: Order) -> AuditTrail:
    """Show who did what here lately, oldest first."""
    trail = AuditTrail(lines=tuple(audit_lines(order.run, order.newest)))
    if not order.as_json:
        for line in trail.lines:
            order.say(str(line))
    return trail


def _unlock(order: Order) -> Model:
    return unlock(order.run)


def _release(order: Order) -> JourneyResult:
    """Take what is here through every environment up to the order's, step by step."""
    chain = chain_to(order.env.name, order.config)
    orders = [replace(order, env=env, aws=order.run.in_environment(env).aws) for env in chain]
    for number, each in enumerate(orders):
        is_first, is_last = number == 0, number == len(orders) - 1
        first = ["publish", "preflight", "deploy", "autoscale"]
        steps = ["bootstrap", *(first if is_first else ["preflight", "promote"])]
        steps += ["verify"] if is_first or not is_last else []
        for step in steps:
            order.say(f"── {step} {each.env.name}")
            run(step, each)
    calls = len(order.aws.made)
    order.say(f"{order.release.id} went through {', '.join(env.name for env in chain)}: {calls} calls made")
    return JourneyResult(release=order.release.id, environments=tuple(env.name for env in chain), calls=calls)


COMMANDS: Mapping[str, Callable[[Order], Model]] = {
    "bootstrap": _bootstrap,
    "train": _train,
    "publish": _publish,
    "preflight": _preflight,
    "plan": _plan,
    "deploy": _deploy,
    "autoscale": _autoscale,
    "verify": _verify,
    "load-test": _load_test,
    "promote": _promote,
    "rollback": _rollback,
    "status": _status,
    "destroy": _destroy,
    "gc": _gc,
    "unlock": _unlock,
    "audit": _audit,
    "release": _release,
}


TAKES_A_RELEASE = frozenset({"deploy", "autoscale", "verify", "promote"})


def run(command: str, order: Order) -> StepRecord:
    """Run one command of the order. Raises whatever `run_step` does."""
    release = order.known_release if command in TAKES_A_RELEASE else None
    with logging_to(order.say if not (order.as_json and command == "preflight") else lambda _: None):
        return run_step(command, order.run, order.say, release, lambda: COMMANDS[command](order))
