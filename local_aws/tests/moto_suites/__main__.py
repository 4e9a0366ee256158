"""`python -m moto_suites`: moto's own server-mode tests of the services that are answered here, against this AWS.

They are in moto's source distribution, which pip fetches, of the version and with the hash that are pinned. A failure is
no surprise when differences.json has its reason. Exit codes: 1 for a surprise or an outdated page, 3 without the sources.
"""

import argparse
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from local_aws.tar_files import extract
from local_aws.testing import CONTRACT_SERVER
from moto_suites.judgement import Difference, page, surprises, verdicts
from testbed.serving import TINY_TRAIN

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
PAGE = ROOT / "docs" / "moto-suites.md"
SUITES = ("test_sagemaker", "test_sagemakerruntime", "test_applicationautoscaling", "test_cloudwatch")
NO_SOURCES = 3
# Input of the tests that an AWS of one region, or AWS itself, would refuse, and what is put in its place.
PREPARED: dict[str, str | Callable[[re.Match[str]], str]] = {
    r"\b(us-(east|west)-[12]|eu-central-1|eu-west-3|ap-(south|southeast)-1)\b": r"eu-west-1",
    r"arn:aws:sagemaker:[a-z0-9-]+:0{12}:x-x/": r"arn:aws:iam::000000000000:role/",
    # As AWS writes them into ARNs.
    r"\b(MyOther|My|Silly|Other)(Endpoint\w*|ModelName|TrainingJob\b)": lambda name: name[0].lower(),
    r"ExecutionRoleArn=(self\.arn|TEST_ARN|TEST_ROLE_ARN),(?!\n    \))": r"\g<0> PrimaryContainer={'Image': 'one'},",
    r"\barn:(alarm|ok|insufficient)\b": r"arn:aws:sns:eu-west-1:123456789012:\1",
    r"(StorageResolution\W+)\d+": r"\g<1>60",
    r"ShardedByS3Key": r"FullyReplicated",  # the same for one instance
}


def fetch(into: Path, address: str) -> Path:
    """Unpack the tests of the moto that is installed, to be run against `address`; return their root.

    Raises subprocess.CalledProcessError, with pip's words, when they cannot be had.
    """
    name = f"moto-{version('moto')}"
    pinned = re.search(r"^moto==.*?[^\\]$", (ROOT / "requirements.txt").read_text(), re.M | re.S)
    assert pinned is not None, "moto is not in local_aws/requirements.txt"
    (into / "moto.txt").write_text(pinned[0] + "\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-binary", "moto", "--require-hashes", "-r", "moto.txt", "--dest", "."],
        cwd=into, check=True, capture_output=True, text=True,
    )  # fmt: skip
    with tarfile.open(into / f"{name}.tar.gz") as tar:
        tests = [member for member in tar if member.name.startswith(f"{name}/tests/")]
        extract(tar, into, tests)
    for path in (path for suite in SUITES for path in (into / name / "tests" / suite).rglob("*.py")):
        text = path.read_text().replace("localhost:5000", address.removeprefix("http://"))
        for pattern, replacement in PREPARED.items():
            text = re.sub(pattern, replacement, text)
        path.write_text(text)
    return into / name


def run(root: Path, address: str, chosen: list[str], report: Path) -> None:
    """Run the suites against the AWS that each test begins at `address`; their verdicts go to `report`."""
    environ = {
        "TEST_SERVER_MODE": "true",
        "TEST_SERVER_MODE_ENDPOINT": address,
        "LOCAL_AWS_INSTANCES": "process",
        "LOCAL_AWS_PROCESS_COMMAND": shlex.join(CONTRACT_SERVER),
        "LOCAL_AWS_TRAIN_COMMAND": shlex.join(TINY_TRAIN),
        "LOCAL_AWS_TIME_SCALE": "1",
        "LOCAL_AWS_PROVISION_SECONDS": "60",
        "LOCAL_AWS_STATE_DIR": str(report.parent / "state"),
        "LOCAL_AWS_CACHE_DIR": str(report.parent / "cache"),
        "AWS_ACCESS_KEY_ID": "local-aws",
        "AWS_SECRET_ACCESS_KEY": "local-aws",
        "REPOSITORY": str(ROOT),
        "PYTHONPATH": os.pathsep.join((str(root), str(FOLDER))),
    }
    suites = [f"tests/{suite}" for suite in SUITES]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", root, "-p", "plugin", "--tb=short",
         "-p", "no:cacheprovider", "-W", "ignore", "--timeout=120", "--junitxml", report, *chosen, *suites],
        cwd=root, env=os.environ | environ, check=False,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m moto_suites", description=__doc__)
    parser.add_argument(
        "-k", metavar="EXPRESSION", help="run only these tests, as pytest selects them, and judge nothing"
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="moto-suites-") as scratch:
        report = Path(scratch) / "report.xml"
        try:
            run(fetch(Path(scratch), address), address, ["-k", options.k] if options.k else [], report)
        except subprocess.CalledProcessError as error:
            print(f"moto's sources cannot be had:\n{error.stderr}")
            return NO_SOURCES
        found = verdicts(ElementTree.parse(report).getroot())
    if options.k:
        return 0
    differences: list[Difference] = json.loads((FOLDER / "differences.json").read_text())
    wrong, text = surprises(found, differences), page(version("moto"), found, differences)
    if options.write:
        PAGE.write_text(text)
    elif not PAGE.is_file() or PAGE.read_text() != text:
        wrong.append(f"{PAGE.relative_to(ROOT)} says otherwise; `python -m moto_suites --write` writes it")
    print(*wrong, f"{len(found)} tests of moto, {len(wrong)} surprises", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
