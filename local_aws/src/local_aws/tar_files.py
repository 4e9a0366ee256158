"""Extraction of tar files that stays within its folder, also by a Python without filters (before 3.11.4)."""

import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath


def extract(tar: tarfile.TarFile, folder: Path, members: Iterable[tarfile.TarInfo] | None = None) -> None:
    """Extract the members, by default all, below `folder`.

    Raises tarfile.TarError for a member that would be written, or would lead, outside of it.
    """
    chosen = list(tar if members is None else members)
    if hasattr(tarfile, "data_filter"):
        tar.extractall(folder, chosen, filter="data")
        return
    for member in chosen:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
            raise tarfile.ExtractError(f"{member.name} is not extracted: it may lead outside of {folder}")
    tar.extractall(folder, chosen)  # noqa: S202 - checked above
