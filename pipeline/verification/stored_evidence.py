"""The evidence of earlier verifications: in S3, else in the build folder."""

import json

from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.run import Run
from pipeline.verification.evidence import Evidence, evidence_key, read_evidence
from pipeline.verification.sizing import measured_of


def find_evidence(release_id: str, environment: str, run: Run) -> Evidence | None:
    """Return the evidence of one release in one environment; None when it was not verified there."""
    stored = read_evidence(run.aws.get_json(evidence_key(release_id, environment)))
    if stored is not None:
        return stored
    path = run.build / environment / "evidence.json"
    local = read_evidence(json.loads(path.read_text())) if path.is_file() else None
    return local if local is not None and local.release == release_id else None


def find_capacity(release_id: str, run: Run) -> MeasuredCapacity | None:
    """Return the measured capacity of the same instance type; None: no capacity was named.

    Reads this environment's evidence first, then that of the environment before it.
    """
    for environment in filter(None, (run.env.name, run.env.promotes_from)):
        found = find_evidence(release_id, environment, run)
        if found and found.capacity and found.capacity.instance_type == run.env.endpoint.instance_type:
            return measured_of(found.capacity, run.env.autoscaling.safety_factor)
    return None
