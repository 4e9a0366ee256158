"""Ask PyPI's advisories about every pinned package; an exception has a reason and a day on which it ends.

python .ci/audit.py [REQUIREMENTS…]: pip-audit over the pins, without those of ignored-vulnerabilities.toml.
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
LONGEST_DAYS = 92


def problems(exceptions: Sequence[Mapping[str, Any]], today: date) -> list[str]:
    """Say what is wrong with the exceptions: no reason, no end, an end that has passed or is too far."""
    found = []
    for each in exceptions:
        name, until = each.get("id", "an exception without id"), each.get("until")
        if not str(each.get("reason", "")).strip():
            found.append(f"{name} has no reason")
        if not isinstance(until, date):
            found.append(f"{name} has no day `until` which it holds")
        elif until < today:
            found.append(f"{name} held until {until}: mend it, or reason anew")
        elif (until - today).days > LONGEST_DAYS:
            found.append(f"{name} would hold until {until}: at most {LONGEST_DAYS} days")
    return found


def without_local_versions(pins: str) -> str:
    """`torch==2.13.0+cpu` is PyPI's `torch==2.13.0` for an advisory; hashes and options go."""
    lines = (line.split("\\")[0].split(";")[0].strip() for line in pins.splitlines())
    names = [line.partition("+")[0] for line in lines if "==" in line and not line.startswith(("#", "-"))]
    return "\n".join(names) + "\n"


def main(paths: Sequence[str]) -> int:
    """Return pip-audit's own exit code, or 1 when an exception does not hold."""
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
        words = [
            sys.executable,
            "-m",
            "pip_audit",
            "--strict",
            "--disable-pip",
            "--no-deps",
            "--progress-spinner=off",
        ]
        words += [word for each in exceptions for word in ("--ignore-vuln", each["id"])]
        return subprocess.run([*words, "-r", merged.name], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or PINS))
