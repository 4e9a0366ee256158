"""The command `load-test`: one shape on an environment's endpoint, judged by its promise to clients."""

import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.aws import Aws
from pipeline.command.records import Say
from pipeline.config import Environment
from pipeline.errors import ReleaseError
from pipeline.names import release_of
from pipeline.publishing.publish import release_key
from pipeline.publishing.weights import fetch_golden
from pipeline.release import Release
from pipeline.verification.evidence import Evidence
from pipeline.verification.gates import overall
from pipeline.verification.shaped import judge_shape, run_shape
from pipeline.verification.verify import require_passed


@dataclass(frozen=True)
class Wish:
    """What load is asked for. `payloads`: a file or FILE.py:FUNCTION instead of the release's golden set."""

    shape: str
    minutes: float | None = None
    times_rate: float = 1.0
    workers: int = 1
    payloads: str | None = None


def load_test(wish: Wish, env: Environment, aws: Aws, build: Path, say: Say = print) -> Evidence:
    """Load what is live in `env`; the evidence is BUILD/<env>/load-test-evidence.json, whatever the verdict.

    Raises ReleaseError when nothing of this pipeline's is live, GateFailed or VerificationInconclusive.
    """
    described = aws.describe_endpoint(env.endpoint.name)
    config = str(described["EndpointConfigName"]) if described else "nothing"
    release_id = release_of(config)
    if release_id is None:
        raise ReleaseError(
            f"{env.endpoint.name} serves {config}: no release to load.",
            fix=f"Run `python -m pipeline deploy --env {env.name}` first.",
        )
    payloads = wish.payloads or _golden(release_id, aws, build)
    out = build / env.name / "load" / f"shape-{Path(wish.shape).stem}.json"
    started = time.time()
    result = run_shape(
        env,
        wish.shape,
        payloads,
        out,
        say,
        minutes=wish.minutes,
        times_rate=wish.times_rate,
        workers=wish.workers,
    )
    gates = judge_shape(result, env, wish.shape)
    evidence = Evidence(
        release=release_id,
        environment=env.name,
        endpoint=env.endpoint.name,
        config=config,
        profile="load-test",
        shape=wish.shape,
        started=started,
        finished=time.time(),
        verdict=overall(gates),
        gates=gates,
        capacity=None,
        load=(str(out.relative_to(build)),),
    )
    evidence.save(build / env.name / "load-test-evidence.json")
    for gate in gates:
        say(f"{gate.name}: {gate.verdict.upper()}, {gate.reason}")
    require_passed(evidence)
    return evidence


def _golden(release_id: str, aws: Aws, build: Path) -> Path:
    """Fetch the golden set of the release that is live, whichever that is."""
    document = aws.get_json(release_key(release_id))
    if document is None:
        raise ReleaseError(
            f"The manifest of release {release_id} is not in s3://{aws.env.aws.bucket}.",
            fix="Publish it again, or name what to send: --payloads FILE.",
        )
    return fetch_golden(Release.model_validate(document), aws, build)
