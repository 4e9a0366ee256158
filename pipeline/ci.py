"""The run of a CI service that this process belongs to."""

import os


def github_run_url() -> str | None:
    """Return the address of this GitHub run; None elsewhere."""
    parts = [os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    server, repository, run = parts
    return f"{server}/{repository}/actions/runs/{run}" if all(parts) else None
