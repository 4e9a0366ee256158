"""The release that `--release` names: the path of its manifest, the id of a published one, or neither."""

from pathlib import Path

from pipeline.publishing.image import repository_uri
from pipeline.release import MANIFEST, RELEASE_ID, Release, load_release
from pipeline.release_store.manifests import published_release
from pipeline.release_store.relocation import is_at, relocated
from pipeline.run import Run


def find_release(named: str | None, run: Run) -> Release:
    """Return the release; by default that of BUILD/release.json. Raises ReleaseError when there is none.

    A manifest of another account's names the copies that `replicate` makes in this one.
    """
    if named and RELEASE_ID.fullmatch(named):
        return published_release(named, run.aws)
    release = load_release(Path(named) if named else run.build / MANIFEST)
    return release if is_at(release, run.env.aws) else relocated(release, run.env.aws, repository_uri(run))


def known_release(named: str | None, build: Path) -> str | None:
    """Return the id of the release; None while its manifest does not exist. Asks nothing of AWS."""
    if named and RELEASE_ID.fullmatch(named):
        return named
    path = Path(named) if named else build / MANIFEST
    return load_release(path).id if path.is_file() else None
