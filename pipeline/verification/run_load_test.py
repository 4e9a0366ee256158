"""The command `load-test`: one shape on an environment's endpoint, judged by its SLO.

Where one machine cannot offer the load, several machines offer a share of it at the same time, and another run joins
their results and judges them.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.aws import Clock
from pipeline.errors import ConfigError, LoadTestBroken, ReleaseError
from pipeline.gates import overall
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.release_store.golden import fetch_golden
from pipeline.release_store.manifests import fetch_release
from pipeline.run import Run
from pipeline.verification.evidence import Evidence
from pipeline.verification.join_results import join_results
from pipeline.verification.load import LoadResult
from pipeline.verification.load_shapes import LoadTestOptions, judge_shape, run_shape
from pipeline.verification.verify import require_passed

log = logging.getLogger(__name__)

LONGEST_LEAD_SECONDS = 1800.0


class GeneratorResult(Model):
    """One generator's part of a load: measured, not judged."""

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


def run_load_test(options: LoadTestOptions, run: Run) -> Evidence:
    """Load the live release; the evidence is BUILD/<env>/load-test-evidence.json, whatever the verdict.

    Raises ReleaseError when no release of this pipeline is live, GateFailed or VerificationInconclusive.
    """
    live, started = _live(run), run.clock.now()
    result = _load(options, live, run)
    return _judged(result, options.shape, live, run, started)


def offer_share(options: LoadTestOptions, run: Run) -> GeneratorResult:
    """Offer one of `options.share` equal parts of the load and judge nothing: `judge_joined` does, of all parts.

    Raises ConfigError for an invalid share or a beginning too far ahead, and the errors of `run_load_test` before it
    judges.
    """
    generators = options.share or 1
    if generators < 1:
        raise ConfigError(f"--share {generators} is not a number of generators.", fix="Give 1 or more.")
    live = _live(run)
    result = _load(options, live, run)
    return GeneratorResult(
        release=live.release,
        endpoint=run.env.endpoint.name,
        shape=options.shape,
        generators=generators,
        requests=sum(phase.requests for phase in result.phases),
        result=str(_result_path(options.shape, run).relative_to(run.build)),
    )


def judge_joined(folder: Path, shape: str, run: Run) -> Evidence:
    """Join the results of the generators below `folder`, and judge them as `run_load_test` does.

    Raises LoadTestBroken when there is no result, or when the generators did not overlap.
    """
    name = _result_path(shape, run).name
    paths = sorted(folder.rglob(name))
    if not paths:
        raise LoadTestBroken(
            f"There is no {name} below {folder}.", fix="Run the generators first: `load-test --share N`."
        )
    joined = join_results([_read(path) for path in paths])
    log.info(f"{len(paths)} generators sent {sum(phase.requests for phase in joined.phases)} requests")
    joined.save(_result_path(shape, run))
    started = joined.started or run.clock.now()
    return _judged(joined, shape, _live(run), run, started)


def _live(run: Run) -> _Live:
    described = run.aws.describe_endpoint(run.env.endpoint.name)
    config = str(described["EndpointConfigName"]) if described else "nothing"
    release = release_of(config)
    if release is None:
        raise ReleaseError(
            f"{run.env.endpoint.name} serves {config}: no release to load.",
            fix=f"Run `python -m pipeline deploy --env {run.env.name}` first.",
        )
    return _Live(release, config)


def _load(options: LoadTestOptions, live: _Live, run: Run) -> LoadResult:
    payloads = options.payloads or _golden(live.release, run)
    if options.at is not None:
        wait_for_start(options.at, run.clock)
    return run_shape(run.env, options, payloads, _result_path(options.shape, run))


def wait_for_start(at: float, clock: Clock) -> None:
    """Return at `at` (epoch seconds), at once when it has passed. Raises ConfigError when it is too far ahead."""
    seconds = at - clock.now()
    if seconds > LONGEST_LEAD_SECONDS:
        raise ConfigError(
            f"--at {at:.0f} is {seconds:.0f} s ahead.",
            fix=f"Give a time that is at most {LONGEST_LEAD_SECONDS / 60:g} minutes ahead.",
        )
    if seconds <= 0:
        log.info(f"the beginning has passed {-seconds:.0f} s ago: begin now")
        return
    log.info(f"begin in {seconds:.0f} s, with the others")
    clock.sleep(seconds)


def _judged(result: LoadResult, shape: str, live: _Live, run: Run, started: float) -> Evidence:
    gates = judge_shape(result, run.env, shape)
    evidence = Evidence(
        release=live.release,
        environment=run.env.name,
        endpoint=run.env.endpoint.name,
        config=live.config,
        profile="load-test",
        shape=shape,
        started=started,
        finished=run.clock.now(),
        verdict=overall(gates),
        gates=gates,
        capacity=None,
        load=(str(_result_path(shape, run).relative_to(run.build)),),
    )
    evidence.save(run.build / run.env.name / "load-test-evidence.json")
    for gate in gates:
        log.info(f"{gate.name}: {gate.verdict.upper()}, {gate.reason}")
    require_passed(evidence)
    return evidence


def _result_path(shape: str, run: Run) -> Path:
    return run.build / run.env.name / "load" / f"shape-{Path(shape).stem}.json"


def _read(path: Path) -> LoadResult:
    try:
        return LoadResult.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise LoadTestBroken(f"{path} is no load result: {error}", fix="Run that generator again.") from error


def _golden(release_id: str, run: Run) -> Path:
    """Fetch the golden set of the live release."""
    release = fetch_release(release_id, run.aws)
    if release is None:
        raise ReleaseError(
            f"The manifest of release {release_id} is not in s3://{run.aws.place.bucket}.",
            fix="Publish it again, or name what to send: --payloads FILE.",
        )
    return fetch_golden(release, run)
