"""pytest plugin: at the end of a run, count and list the tests that were skipped for want of root or a capability.

Such a skip names what is missing in its reason ("needs root", "needs the capability CAP_NET_ADMIN", "no control group
can be made here"), so that a run as an unprivileged user shows what it did not prove.
"""

import re
from typing import Any

# A folder of that name, as in /root/.docker, is no reason.
_PRIVILEGE = re.compile(r"(?<![\w/.-])(root|capability|CAP_[A-Z_]+|control group)(?![\w/])")


def needs_privilege(reason: str) -> bool:
    """Say whether a skip's reason is missing root, a capability, or a control group, which root can delegate."""
    return _PRIVILEGE.search(reason) is not None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the skips by test and reason below a line that counts them; print nothing without any."""
    found = [
        (report.nodeid, report.longrepr[2].removeprefix("Skipped: "))
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    ]
    listed = sorted({(test, reason) for test, reason in found if needs_privilege(reason)})
    if not listed:
        return
    terminalreporter.ensure_newline()
    terminalreporter.write_sep("=", f"skipped for want of root or a capability: {len(listed)}")
    for test, reason in listed:
        terminalreporter.write_line(f"{test}: {reason}")
