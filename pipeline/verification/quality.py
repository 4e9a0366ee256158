"""Judge a release's own figure of training against a floor, and against the release that it would replace."""

from collections.abc import Mapping

from pipeline.config import Environment, Quality
from pipeline.gates import Gate, Verdict
from pipeline.release import Release
from pipeline.release_store.manifests import published_release
from pipeline.run import Run
from pipeline.verification.comparison import find_baseline

NAME = "quality"


def quality_gates(release: Release, run: Run, following: Environment | None) -> list[Gate]:
    """Return the gate of `verification.quality`; none where the config has no such section.

    The release is compared with the one that the next environment serves. Raises ReleaseError when that one's manifest
    is gone.
    """
    quality = run.env.verification.quality
    if quality is None:
        return []
    baseline = find_baseline(release, run, following)
    if following is None or isinstance(baseline, str):
        return [judge_quality(quality, release.weights.metrics, first_because=str(baseline))]
    live = published_release(baseline.release, run.in_environment(following).aws)
    return [judge_quality(quality, release.weights.metrics, live=(live.id, live.weights.metrics))]


def judge_quality(
    quality: Quality,
    candidate: Mapping[str, float],
    *,
    live: tuple[str, Mapping[str, float]] | None = None,
    first_because: str = "",
) -> Gate:
    """Judge the figure of a candidate. `live`: id and metrics of the release that it would replace.

    A first release is held to the floor; `first_because`: why there is no other. A missing figure is INCONCLUSIVE.
    """
    measured, floor = candidate.get(quality.metric), quality.floor
    if measured is None or measured != measured:
        return _gate(
            quality, floor, None, Verdict.INCONCLUSIVE, f"metrics.json of the release has no {quality.metric}"
        )
    limit, against = floor, f"only the floor is known: {first_because}"
    if live is not None:
        before = live[1].get(quality.metric)
        if before is None or before != before:
            reason = f"metrics.json of {live[0]}, which it would replace, has no {quality.metric}"
            return _gate(quality, floor, measured, Verdict.INCONCLUSIVE, reason)
        sign = 1 if quality.better == "higher" else -1
        limit = sign * max(sign * floor, sign * before - quality.allowed_loss)
        against = f"{live[0]}, which it would replace, has {before:g}"
    is_kept = measured >= limit if quality.better == "higher" else measured <= limit
    side = "below" if quality.better == "higher" else "above"
    verdict = Verdict.PASSED if is_kept else Verdict.FAILED
    said = f"{quality.metric} {measured:g} is {'not ' if is_kept else ''}{side} {limit:g}; {against}"
    return _gate(quality, limit, measured, verdict, said)


def _gate(quality: Quality, limit: float, measured: float | None, verdict: Verdict, reason: str) -> Gate:
    return Gate(
        name=NAME,
        metric=quality.metric,
        limit=limit,
        measured=measured,
        unit="",
        verdict=verdict,
        reason=reason,
    )
