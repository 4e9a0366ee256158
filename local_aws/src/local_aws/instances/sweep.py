"""Remove the leftovers of crashed runs: processes, control groups, containers and files."""

from pathlib import Path

import psutil

from local_aws.instances import process_tree
from local_aws.instances.engine import Engine, EngineError
from local_aws.instances.started_resources import Record, StartedResources, read_records, remove_tree, scratch


def sweep(resources: StartedResources, engine: Engine | None) -> list[str]:
    """Remove the leftovers of runs that are over; return one line for each. Live runs are not touched.

    What cannot be removed now (an engine that does not answer) stays on record for the next sweep.
    `engine` is the launcher's; without one, an engine is looked for if a container needs it.
    """
    with resources.abandoned() as directories:
        return [line for directory in directories for line in _clear(directory, engine)]


def _clear(directory: Path, engine: Engine | None) -> list[str]:
    lines = []
    for record in read_records(directory):
        try:
            _remove(record, engine)
        except (EngineError, psutil.TimeoutExpired, OSError) as error:
            lines.append(f"could not remove the {record.kind} {record.id} of a run that is over: {error}")
            continue
        remove_tree(scratch(record.id))
        (directory / f"{record.id}.json").unlink()
        lines.append(f"removed the {record.kind} {record.id}, left behind by a run that is over")
    if not any(directory.glob("*.json")):
        remove_tree(directory)
    return lines


def _remove(record: Record, engine: Engine | None) -> None:
    if record.kind == "process":
        process_tree.kill(record)
    elif engine is not None:
        engine.remove_labelled(record.id)
    else:
        passing = Engine()
        try:
            passing.remove_labelled(record.id)
        finally:
            passing.close()
