"""Remove what a run that crashed has left: its processes, control groups, containers and files."""

from collections.abc import Callable

from local_aws.instances import process_tree
from local_aws.instances.ledger import Ledger, Record, read_records, remove_tree

RemoveContainers = Callable[[str], None]
"""Removes the containers with a record id on their label; raises when the engine does not answer."""


def sweep(ledger: Ledger, remove_container: RemoveContainers) -> list[str]:
    """Remove what runs that are over have left; say what was removed, one line each.

    What belongs to a live run is not touched. Raises what `remove_container` raises: records whose
    containers could not be removed stay for the next sweep.
    """
    removed: list[str] = []
    with ledger.abandoned() as directories:
        for directory in directories:
            for record in read_records(directory):
                _remove(record, remove_container)
                (directory / f"{record.id}.json").unlink()
                removed.append(f"removed the {record.kind} {record.id}, left behind by a run that is over")
            remove_tree(directory)
    return removed


def _remove(record: Record, remove_container: RemoveContainers) -> None:
    if record.kind == "container":
        remove_container(record.id)
    else:
        process_tree.kill(record)
