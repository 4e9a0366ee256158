"""One reproducible .tar.gz of a directory: the same bytes for the same content."""

import gzip
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, BinaryIO, cast

from pipeline.errors import ConfigError, ReleaseError
from pipeline.release_store.gzip_stream import GzipStream

PROGRAM = "code"  # the folder of inference.py and what it imports


def archive(directory: Path, target: BinaryIO) -> None:
    """Write `directory` as .tar.gz: sorted, no times, no owners."""
    with (
        closing(GzipStream(target)) as zipped,
        tarfile.open(fileobj=cast(IO[bytes], zipped), mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, path in archived_files(directory):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = path.stat().st_size, 0o644, 0
            with path.open("rb") as content:
                tar.addfile(member, content)


def archived_files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files to archive, by their names within the archive.

    Links to files are followed: SageMaker refuses links in an archive.
    """
    for path in sorted(directory.rglob("*")):
        if path.is_dir() and path.is_symlink():
            raise ConfigError(f"{path} is a link to a directory.", fix="Put the files there themselves.")
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(directory).as_posix(), path


def members(packed: Path, names: frozenset[str], where: str) -> dict[str, bytes]:
    """Return the contents of these members, of those that exist.

    Stops reading once all are found. Raises ReleaseError when `packed` is no archive.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(packed, mode="r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name in names and (content := tar.extractfile(member)):
                    found[name] = content.read()
                if len(found) == len(names):
                    break
    except (tarfile.TarError, gzip.BadGzipFile, EOFError) as error:
        raise ReleaseError(f"{where} is not a .tar.gz: {error}", fix="Publish other weights.") from error
    return found


def only_folder(packed: Path, where: str) -> str | None:
    """Return the folder that all of an archive lies in; None when its files lie at its top, where they belong.

    A folder `code` alone is a program, which belongs there. Raises ReleaseError when `packed` is no archive.
    """
    folder = None
    try:
        with tarfile.open(packed, mode="r:gz") as tar:
            for member in tar:
                parts = [part for part in member.name.split("/") if part != "."]
                if not member.isfile() or parts[-1].startswith("._"):  # what macOS adds
                    continue
                if len(parts) == 1 or folder not in (None, parts[0]):
                    return None
                folder = parts[0]
    except (tarfile.TarError, gzip.BadGzipFile, EOFError) as error:
        raise ReleaseError(f"{where} is not a .tar.gz: {error}", fix="Publish other weights.") from error
    return None if folder == PROGRAM else folder
