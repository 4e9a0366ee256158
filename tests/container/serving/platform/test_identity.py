"""Every answer can say which release and which instance it came from."""

import re

import pytest

from serving.platform.identity import BadIdentity, from_environ


def test_the_header_names_release_and_instance() -> None:
    identity = from_environ({"RELEASE_ID": "0123456789ab-01234567", "SERVE_INSTANCE_ID": "abcdef012345"})

    assert identity.header == "release=0123456789ab-01234567;instance=abcdef012345"


def test_without_a_release_it_says_so_and_makes_up_an_instance() -> None:
    first, second = from_environ({}), from_environ({})

    assert re.fullmatch(r"release=unreleased;instance=[0-9a-f]{12}", first.header)
    assert first.instance != second.instance


@pytest.mark.parametrize(
    "release", ["a\r\nSet-Cookie: x", 'a"b', "a;instance=b", "a b", "$host", "x" * 201, "é"]
)
def test_what_would_break_a_header_or_nginx_conf_is_refused(release: str) -> None:
    with pytest.raises(BadIdentity, match="RELEASE_ID: expected up to 200 letters"):
        from_environ({"RELEASE_ID": release})
