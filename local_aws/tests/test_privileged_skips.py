"""A test run counts and lists the tests that it skipped for want of root or a capability."""

import pytest

from local_aws.testing.privileged_skips import needs_privilege

pytest_plugins = ["pytester"]
PLUGIN = "local_aws.testing.privileged_skips"
TESTS = """
import pytest

pytestmark = pytest.mark.filterwarnings("default")

@pytest.mark.skip(reason="needs root, which alone can make a chroot")
def test_chroot(): ...

@pytest.fixture
def group():
    pytest.skip("no control group can be made here")

def test_quota(group): ...

@pytest.mark.skip(reason="there is no debootstrap")
def test_debian(): ...

def test_sum(): ...
"""


def test_skips_for_want_of_root_are_counted_and_listed_apart(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_some=TESTS)
    ended = pytester.runpytest_inprocess("-p", PLUGIN)

    ended.assert_outcomes(passed=1, skipped=3)
    ended.stdout.fnmatch_lines(
        [
            "=* skipped for want of root or a capability: 2 *=",
            "test_some.py::test_chroot: needs root, which alone can make a chroot",
            "test_some.py::test_quota: no control group can be made here",
        ],
        consecutive=True,
    )
    ended.stdout.no_fnmatch_line("test_some.py::test_debian*")


def test_a_run_that_skipped_none_for_it_has_no_such_section(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_sum(): ...")

    assert "want of root" not in pytester.runpytest_inprocess("-p", PLUGIN).stdout.str()


@pytest.mark.parametrize(
    ("reason", "counted"),
    [
        ("needs root", True),
        ("needs the capability CAP_NET_ADMIN", True),
        ("no control group can be made here", True),
        ("needs control groups of version 1", False),
        ("needs a Docker engine: open /root/.docker/config.json", False),
    ],
)
def test_a_reason_names_the_privilege(reason: str, counted: bool) -> None:
    assert needs_privilege(reason) == counted
