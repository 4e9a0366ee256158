"""The signature equals botocore's, byte for byte, for any request and any credentials."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import RefreshableCredentials
from hypothesis import given
from hypothesis import strategies as st

from load_tests.signing import Signer

HOST = "runtime.sagemaker.eu-west-1.amazonaws.com"
NOW = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@dataclass(frozen=True)
class Known:
    access_key: str = "AKIDEXAMPLE"
    secret_key: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    token: str | None = None


def botocores(known: Known, path: str, headers: dict[str, str], body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers that botocore adds to this request."""
    request = AWSRequest("POST", f"https://{HOST}{path}", headers=dict(headers), data=body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: now)
        botocore.auth.SigV4Auth(known, "sagemaker", "eu-west-1").add_auth(request)
    return {name: value for name, value in request.headers.items() if name not in headers}


def ours(signer: Signer, path: str, headers: dict[str, str], body: bytes, now: datetime) -> dict[str, str]:
    return signer.sign(path, headers, sha256(body).hexdigest(), now)


@given(
    known=st.builds(Known, TEXT, TEXT, st.none() | TEXT),
    endpoint=st.text(min_size=1, max_size=20).filter(lambda name: name not in {".", ".."}),
    body=st.binary(max_size=200),
    attribute=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_it_is_botocores_for_any_request(
    known: Known, endpoint: str, body: bytes, attribute: str, now: datetime
) -> None:
    path = f"/endpoints/{quote(endpoint, safe='')}/invocations"
    headers = {
        "Host": HOST,
        "Content-Type": "application/json",
        "X-Amzn-SageMaker-Custom-Attributes": attribute,
    }
    signer = Signer(lambda: known, "eu-west-1", "sagemaker")

    assert ours(signer, path, headers, body, now) == botocores(known, path, headers, body, now)


def test_a_new_day_has_a_new_key() -> None:
    known, path, headers = Known(token="session"), "/endpoints/e/invocations", {"Host": HOST}
    signer = Signer(lambda: known, "eu-west-1", "sagemaker")
    for now in (NOW, NOW + timedelta(seconds=2), NOW):
        assert ours(signer, path, headers, b"x", now) == botocores(known, path, headers, b"x", now)


def test_credentials_that_were_refreshed_sign_the_next_request() -> None:
    """A role's credentials run out while the load runs; the session's next ones have another secret and token."""
    issued = iter(range(1, 9))

    def issue(valid_for: timedelta) -> dict[str, str]:
        number = next(issued)
        return {
            "access_key": f"AK{number}", "secret_key": f"secret {number}", "token": f"token {number}",
            "expiry_time": (datetime.now(UTC) + valid_for).isoformat(),
        }  # fmt: skip

    first, hour = timedelta(seconds=-1), timedelta(hours=1)
    credentials = RefreshableCredentials.create_from_metadata(issue(first), lambda: issue(hour), "test")
    signer = Signer(credentials.get_frozen_credentials, "eu-west-1", "sagemaker")
    path, headers = "/endpoints/e/invocations", {"Host": HOST}
    second = Known("AK2", "secret 2", "token 2")

    for _ in range(2):
        assert ours(signer, path, headers, b"x", NOW) == botocores(second, path, headers, b"x", NOW)


def test_the_key_is_worked_out_once_a_day_and_only_the_last_is_kept() -> None:
    known = Known()
    signer = Signer(lambda: known, "eu-west-1", "sagemaker")
    days = [NOW, NOW, NOW + timedelta(days=1), NOW + timedelta(days=1)]
    kept = []
    for now in days:
        signer.sign("/", {"Host": HOST}, "0", now)
        kept.append(next(iter(signer._keys.values())))

    assert kept[0] is kept[1]
    assert kept[2] is kept[3]
    assert len(signer._keys) == 1
