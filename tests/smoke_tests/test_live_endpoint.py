"""The suite as a program against live endpoints: each defect fails the test that covers it, and no other."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.smoke_tests.conftest import MODEL, ROOT, LiveEndpoint

pytestmark = pytest.mark.starts_processes

OPENAPI = ROOT / "container" / "openapi.json"


def smoke(live: LiveEndpoint, report: Path, *options: str) -> set[str]:
    """Run the smoke tests with their JUnit report in `report`; return the names of the failed tests."""
    command = [sys.executable, "-m", "pytest", "smoke_tests", "-q", "-p", "no:cacheprovider"]
    command += ["--endpoint", live.endpoint, "--junitxml", str(report), *options]
    environ = {**os.environ, **live.environ}
    subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, timeout=120, check=False)
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    assert len(cases) > 1, "the suite did not run"
    failed = (case for case in cases if case.find("failure") is not None or case.find("error") is not None)
    return {str(case.get("name")) for case in failed}


def test_a_sound_endpoint_passes_everything_and_nothing_is_skipped(
    live: LiveEndpoint, tmp_path: Path
) -> None:
    report = tmp_path / "smoke.xml"

    assert smoke(live, report, "--release", "r1", "--instances", "2") == set()
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    assert [case.get("name") for case in cases if case.find("skipped") is not None] == []
    names = {str(case.get("name")) for case in cases}
    for media_type in json.loads(OPENAPI.read_text())["paths"]["/invocations"]["post"]["requestBody"][
        "content"
    ]:
        assert f"test_each_media_type_declared_for_requests_is_understood[{media_type}]" in names


def test_another_release_than_expected_fails_by_its_identity(live: LiveEndpoint, tmp_path: Path) -> None:
    failed = smoke(live, tmp_path / "smoke.xml", "--release", "r2", "-k", "identity or contract")

    assert failed == {"test_each_instance_answers_and_all_with_the_same_release"}


def test_a_wrong_golden_set_fails_by_the_predictions_of_every_client_and_type(
    live: LiveEndpoint, tmp_path: Path
) -> None:
    golden = json.loads((MODEL / "golden.json").read_text())
    golden["cases"][0]["prediction"]["label"] = (golden["cases"][0]["prediction"]["label"] + 1) % 10
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(golden))
    failed = smoke(
        live, tmp_path / "smoke.xml", "--golden", str(path), "-k", "contract or clients or concurrency"
    )

    assert {name.partition("[")[0] for name in failed} == {
        "test_the_golden_predictions_come_back_in_order_from_one_batch",
        "test_each_golden_prediction_comes_back_alone",
        "test_each_media_type_declared_for_requests_is_understood",
        "test_each_media_type_declared_for_answers_is_given",
        "test_the_sdk_gets_the_golden_predictions",
        "test_curl_gets_the_golden_predictions",
        "test_fifty_clients_at_once_each_get_their_own_answer",
    }


def test_a_media_type_that_is_declared_and_not_served_fails_by_its_name(
    live: LiveEndpoint, tmp_path: Path
) -> None:
    document = json.loads(OPENAPI.read_text())
    invocation = document["paths"]["/invocations"]["post"]
    invocation["responses"]["200"]["content"]["application/xml"] = {}
    document["components"]["schemas"]["Response"]["required"] = ["predictions", "model"]
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))

    assert smoke(live, tmp_path / "smoke.xml", "--openapi", str(path), "-k", "contract") == {
        "test_each_media_type_declared_for_answers_is_given[application/xml]",
        "test_every_instance_sent_is_answered_as_the_schema_says",
    }


@pytest.mark.parametrize(
    ("options", "failed"),
    [
        ((), {"test_a_request_of_exactly_the_limit_is_answered"}),
        (("--payload-limit-mb", "1"), set()),
    ],
    ids=["25 MB allowed", "1 MB allowed"],
)
def test_a_container_that_takes_less_than_allowed_fails_by_the_payload(
    small_payload: LiveEndpoint, tmp_path: Path, options: tuple[str, ...], failed: set[str]
) -> None:
    assert smoke(small_payload, tmp_path / "smoke.xml", "-k", "payload", *options) == failed
