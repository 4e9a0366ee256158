"""Make .venv from the locks of dependency groups, with uv where it can do what pip is configured to do, else with pip.

python3.11 .ci/install.py [GROUP…]: no group means all of them. torch, which group `container` needs, is installed
first, alone and by pip (docs/adr/0010). uv gets the configuration of pip: index, find-links, constraints, certificates.
"""

import argparse
import ast
import os
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "requirements"
TORCH = ROOT / "container" / "torch.txt"
NOT_CUDA = "import torch; assert torch.version.cuda is None, 'this is the CUDA build of torch'"
# pip's options that decide what is installed, or from where, as uv's environment variables; and what joins their values.
TRANSLATED = {
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "no-index": ("UV_NO_INDEX", ""),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "client-cert": ("SSL_CLIENT_CERT", ""),
    "proxy": ("ALL_PROXY", ""),
    "retries": ("UV_HTTP_RETRIES", ""),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
    "default-timeout": ("UV_HTTP_TIMEOUT", ""),
}
# pip's options that change neither; with any other one set, pip installs.
WITHOUT_EFFECT = {
    "cache-dir", "disable-pip-version-check", "log", "no-color", "no-input", "no-python-version-warning",
    "no-warn-script-location", "progress-bar", "quiet", "require-virtualenv", "root-user-action", "verbose",
}  # fmt: skip


def lock_of(group: str) -> Path:
    """Locate the lock of a group: that of a part which is built by itself lies in the part's folder."""
    return (
        ROOT / group / "requirements.txt" if group in ("container", "local_aws") else LOCKS / f"{group}.txt"
    )


def groups() -> list[str]:
    """List the dependency groups of pyproject.toml in its order."""
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"])


def pip_options(listed: str) -> dict[str, str]:
    """Parse what `pip config list` prints; for one option the environment wins over [install], that over [global]."""
    options: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in listed.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section):
                options[name.removeprefix(section)] = str(ast.literal_eval(value))
    return options


def uv_environment(options: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Translate pip's options for uv; UV_* variables of `environ` win. ValueError: uv cannot do as pip would."""
    unknown = sorted(options.keys() - TRANSLATED.keys() - WITHOUT_EFFECT)
    if unknown:
        raise ValueError(f"pip is configured with {', '.join(unknown)}")
    # pip's own strategy: all indexes are equal; hashes decide
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for option, value in options.items():
        if option in TRANSLATED:
            name, separator = TRANSLATED[option]
            found[name] = separator.join(value.split()) if separator else value
    own = {name: value for name, value in environ.items() if name.startswith("UV_")}
    return {**environ, **found, **own}


def install(python: str, wanted: Sequence[str]) -> None:
    """Install the groups into the environment of `python`. Raises subprocess.CalledProcessError when pip cannot."""
    pip = [python, "-m", "pip"]
    install = [*pip, "install", "--quiet", "--disable-pip-version-check"]
    if "container" in wanted:
        subprocess.run([*install, "--retries", "0", "-r", TORCH], check=True)
    locks = [word for group in wanted for word in ("-r", str(lock_of(group)))]
    try:
        listed = subprocess.run([*pip, "config", "list"], check=True, capture_output=True, text=True)
        environ = uv_environment(pip_options(listed.stdout), os.environ)
        subprocess.run([*install, "--require-hashes", "-r", lock_of("setup")], check=True)
        # --compile-bytecode: as pip does, so that no warning of the compiler comes up at run time, where it is an error.
        # Not --require-hashes, which forbids the constraints that pip may be configured with: hashes are verified
        # without it, every pin has one, and --no-deps installs nothing that is not pinned.
        uv = [
            str(Path(python).with_name("uv")),
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--no-deps",
            "--compile-bytecode",
        ]
        subprocess.run([*uv, *locks], env=environ, check=True)
    except (ValueError, subprocess.CalledProcessError) as error:
        reason = error if isinstance(error, ValueError) else f"uv ended with exit code {error.returncode}"
        print(f"setup: pip installs instead of uv: {reason}", file=sys.stderr)
        subprocess.run([*install, "--require-hashes", *locks], check=True)
    if "local_aws" in wanted:
        subprocess.run([*install, "--no-build-isolation", "--no-deps", "-e", ROOT / "local_aws"], check=True)
    subprocess.run([*pip, "--disable-pip-version-check", "check"], check=True, stdout=subprocess.DEVNULL)
    if "container" in wanted:
        subprocess.run([python, "-c", NOT_CUDA], check=True)


def is_ready(stamp: Path, wanted: Sequence[str]) -> bool:
    """Say whether all groups have been installed since their pins were changed."""
    pins = [TORCH, lock_of("setup"), *map(lock_of, wanted)]
    return stamp.is_file() and all(path.stat().st_mtime <= stamp.stat().st_mtime for path in pins)


def main() -> None:
    """Install what is asked for; the stamp `ready` in .venv says that it has all groups."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--venv", type=Path, default=ROOT / ".venv", help="the environment to make (default: .venv)"
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(groups())}; default: all")
    arguments = parser.parse_args()
    if unknown := set(arguments.groups) - set(groups()):
        parser.error(
            f"pyproject.toml has no dependency group {', '.join(sorted(unknown))}; it has {', '.join(groups())}"
        )
    wanted = arguments.groups or groups()
    stamp = arguments.venv / "ready"
    if is_ready(stamp, wanted):
        print(f"{arguments.venv} has all groups already")
        return
    started = time.monotonic()
    stamp.unlink(missing_ok=True)
    venv.create(arguments.venv, with_pip=True, symlinks=True)
    install(str(arguments.venv / "bin" / "python"), wanted)
    if wanted == groups():
        stamp.touch()
    print(f"{arguments.venv}: {', '.join(wanted)} in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"setup: {' '.join(map(str, failed.cmd[:5]))} … ended with exit code {failed.returncode}")
