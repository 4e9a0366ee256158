"""Check every pinned package against PyPI's advisories; each exception has a reason and an end date.

python .ci/audit.py [REQUIREMENTS…] runs pip-audit over the pins, without the exceptions in
requirements/ignored-vulnerabilities.toml.
"""

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXCEPTIONS = ROOT / "requirements" / "ignored-vulnerabilities.toml"
PINS = (
    "container/torch.txt",
    "container/requirements.txt",
    "local_aws/requirements.txt",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "requirements").glob("*.txt"))),
)
MAX_DAYS = 92


def problems(exceptions: Sequence[Mapping[str, Any]], today: date) -> list[str]:
    """Return the problems of the exceptions: no reason, no end date, one in the past or too far ahead."""
    found = []
    for each in exceptions:
        name, until = each.get("id", "an exception without id"), each.get("until")
        if not str(each.get("reason", "")).strip():
            found.append(f"{name} has no reason")
        if not isinstance(until, date):
            found.append(f"{name} has no date `until`")
        elif until < today:
            found.append(
                f"{name} expired on {until}: update the package, or renew the exception with its reason"
            )
        elif (until - today).days > MAX_DAYS:
            found.append(f"{name} lasts until {until}: at most {MAX_DAYS} days are allowed")
    return found


def without_local_versions(pins: str) -> str:
    """Return the pins as advisories name them: `torch==2.13.0+cpu` as `torch==2.13.0`, without hashes and options."""
    lines = (line.split("\\")[0].split(";")[0].strip() for line in pins.splitlines())
    names = [line.partition("+")[0] for line in lines if "==" in line and not line.startswith(("#", "-"))]
    return "\n".join(names) + "\n"


def main(paths: Sequence[str]) -> int:
    """Return pip-audit's exit code, or 1 when an exception has a problem."""
    exceptions = tomllib.loads(EXCEPTIONS.read_text()).get("ignored", [])
    wrong = problems(exceptions, datetime.now(UTC).date())
    for line in wrong:
        print(f"{EXCEPTIONS.relative_to(ROOT)}: {line}", file=sys.stderr)
    if wrong:
        return 1
    pinned = {line for path in paths for line in without_local_versions((ROOT / path).read_text()).split()}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as merged:
        merged.write("\n".join(sorted(pinned)) + "\n")
        merged.flush()
        command = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--no-deps"]
        command += ["--progress-spinner=off", "-r", merged.name]
        command += [word for each in exceptions for word in ("--ignore-vuln", each["id"])]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or PINS))
