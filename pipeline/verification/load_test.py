"""The command `load-test`: one shape on an environment's endpoint, judged by its promise to clients.

Where one machine cannot offer the load, several offer a share of it at the same time, and another run joins what
they measured and judges it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.errors import ConfigError, LoadTestBroken, ReleaseError
from pipeline.gates import overall
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.release import Release
from pipeline.release_store.golden import fetch_golden
from pipeline.release_store.manifests import release_key
from pipeline.state.records import Say
from pipeline.verification.evidence import Evidence
from pipeline.verification.joined import join
from pipeline.verification.load import LoadResult
from pipeline.verification.shaped import judge_shape, run_shape
from pipeline.verification.verify import require_passed

LONGEST_LEAD_SECONDS = 1800.0


@dataclass(frozen=True)
class Wish:
    """What load is asked for. `payloads`: a file or FILE.py:FUNCTION instead of the release's golden set.

    `share`: of so many generators this is one. `at`: epoch seconds at which it begins.
    """

    shape: str
    minutes: float | None = None
    times_rate: float = 1.0
    workers: int = 1
    payloads: str | None = None
    share: int | None = None
    at: float | None = None


class Offered(Model):
    """One generator's part of a load: measured, and not judged."""

    release: str
    endpoint: str
    shape: str
    generators: int
    requests: int
    result: str  # its file, relative to the build directory


@dataclass(frozen=True)
class _Live:
    release: str
    config: str


def load_test(wish: Wish, env: Environment, aws: Aws, build: Path, say: Say = print) -> Evidence:
    """Load what is live in `env`; the evidence is BUILD/<env>/load-test-evidence.json, whatever the verdict.

    Raises ReleaseError when nothing of this pipeline's is live, GateFailed or VerificationInconclusive.
    """
    live, started = _live(env, aws), time.time()
    result = _load(wish, live, env, aws, build, say)
    return _judged(result, wish.shape, live, env, build, started, say)


def offer_share(wish: Wish, env: Environment, aws: Aws, build: Path, say: Say = print) -> Offered:
    """Offer one of `wish.share` equal parts of the load and judge nothing: `judge_joined` does, of all parts.

    Raises ConfigError for no such part, or a beginning too far away, and what `load_test` raises before it judges.
    """
    generators = wish.share or 1
    if generators < 1:
        raise ConfigError(f"--share {generators} is no number of generators.", fix="Give 1 or more.")
    live = _live(env, aws)
    result = _load(wish, live, env, aws, build, say, generators)
    return Offered(
        release=live.release,
        endpoint=env.endpoint.name,
        shape=wish.shape,
        generators=generators,
        requests=sum(phase.requests for phase in result.phases),
        result=str(_result_path(wish.shape, env, build).relative_to(build)),
    )


def judge_joined(
    folder: Path, shape: str, env: Environment, aws: Aws, build: Path, say: Say = print
) -> Evidence:
    """Join what the generators have left below `folder`, and judge it as `load_test` does.

    Raises LoadTestBroken when there is nothing, or when they were not at it together.
    """
    name = _result_path(shape, env, build).name
    paths = sorted(folder.rglob(name))
    if not paths:
        raise LoadTestBroken(f"There is no {name} below {folder}.", fix="Let the generators run: --share N.")
    joined = join([_read(path) for path in paths])
    say(f"{len(paths)} generators sent {sum(phase.requests for phase in joined.phases)} requests")
    joined.save(_result_path(shape, env, build))
    started = joined.started or time.time()
    return _judged(joined, shape, _live(env, aws), env, build, started, say)


def _live(env: Environment, aws: Aws) -> _Live:
    described = aws.describe_endpoint(env.endpoint.name)
    config = str(described["EndpointConfigName"]) if described else "nothing"
    release = release_of(config)
    if release is None:
        raise ReleaseError(
            f"{env.endpoint.name} serves {config}: no release to load.",
            fix=f"Run `python -m pipeline deploy --env {env.name}` first.",
        )
    return _Live(release, config)


def _load(
    wish: Wish, live: _Live, env: Environment, aws: Aws, build: Path, say: Say, generators: int = 1
) -> LoadResult:
    payloads = wish.payloads or _golden(live.release, aws, build)
    if wish.at is not None:
        wait_until(wish.at, say)
    return run_shape(
        env,
        wish.shape,
        payloads,
        _result_path(wish.shape, env, build),
        say,
        minutes=wish.minutes,
        times_rate=wish.times_rate / generators,
        workers=wish.workers,
    )


def wait_until(
    at: float,
    say: Say,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return at `at` (epoch s), at once when it has passed. Raises ConfigError when it is too far away."""
    seconds = at - now()
    if seconds > LONGEST_LEAD_SECONDS:
        raise ConfigError(
            f"--at {at:.0f} is {seconds:.0f} s away.", fix=f"At most {LONGEST_LEAD_SECONDS:g} s are waited."
        )
    if seconds <= 0:
        say(f"the beginning has passed {-seconds:.0f} s ago: begin now")
        return
    say(f"begin in {seconds:.0f} s, with the others")
    sleep(seconds)


def _judged(
    result: LoadResult, shape: str, live: _Live, env: Environment, build: Path, started: float, say: Say
) -> Evidence:
    gates = judge_shape(result, env, shape)
    evidence = Evidence(
        release=live.release,
        environment=env.name,
        endpoint=env.endpoint.name,
        config=live.config,
        profile="load-test",
        shape=shape,
        started=started,
        finished=time.time(),
        verdict=overall(gates),
        gates=gates,
        capacity=None,
        load=(str(_result_path(shape, env, build).relative_to(build)),),
    )
    evidence.save(build / env.name / "load-test-evidence.json")
    for gate in gates:
        say(f"{gate.name}: {gate.verdict.upper()}, {gate.reason}")
    require_passed(evidence)
    return evidence


def _result_path(shape: str, env: Environment, build: Path) -> Path:
    return build / env.name / "load" / f"shape-{Path(shape).stem}.json"


def _read(path: Path) -> LoadResult:
    try:
        return LoadResult.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise LoadTestBroken(f"{path} is no load result: {error}", fix="Run that generator again.") from error


def _golden(release_id: str, aws: Aws, build: Path) -> Path:
    """Fetch the golden set of the release that is live, whichever that is."""
    document = aws.get_json(release_key(release_id))
    if document is None:
        raise ReleaseError(
            f"The manifest of release {release_id} is not in s3://{aws.env.aws.bucket}.",
            fix="Publish it again, or name what to send: --payloads FILE.",
        )
    return fetch_golden(Release.model_validate(document), aws, build)
