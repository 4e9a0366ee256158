"""The suite as a program against live endpoints: each defect fails the test that covers it, and no other."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import golden
from tests.smoke_tests.conftest import MODEL, ROOT, LiveEndpoint, smoke

pytestmark = pytest.mark.starts_processes

OPENAPI = ROOT / "container" / "openapi.json"


def test_a_sound_endpoint_passes_everything_and_nothing_is_skipped(
    live: LiveEndpoint, tmp_path: Path
) -> None:
    report = smoke(live, tmp_path / "smoke.xml", "--release", "r1", "--instances", "2")

    assert (report.failures, report.skips, report.properties) == ({}, {}, ()), report.output
    for media_type in json.loads(OPENAPI.read_text())["paths"]["/invocations"]["post"]["requestBody"][
        "content"
    ]:
        assert f"test_each_media_type_declared_for_requests_is_understood[{media_type}]" in report.names


def test_another_release_than_expected_fails_by_its_identity(live: LiveEndpoint, tmp_path: Path) -> None:
    report = smoke(live, tmp_path / "smoke.xml", "--release", "r2", "-k", "identity or golden")

    assert report.failed == {"test_each_instance_answers_and_all_with_the_same_release"}


def test_a_wrong_golden_set_fails_by_json_path_for_every_client_and_type(
    live: LiveEndpoint, tmp_path: Path
) -> None:
    path = tmp_path / "golden.jsonl"
    label = with_another_label(path)
    options = ("--golden", str(path), "--openapi", str(OPENAPI))
    report = smoke(
        live, tmp_path / "smoke.xml", *options, "-k", "golden or clients or concurrency or api or digits"
    )

    assert {name.partition("[")[0] for name in report.failed} == {
        "test_each_golden_request_gets_its_golden_answer",
        "test_all_golden_instances_in_one_request_are_answered_in_order",
        "test_each_media_type_declared_for_requests_is_understood",
        "test_each_media_type_declared_for_answers_is_given",
        "test_the_predictions_are_the_golden_ones_in_each_media_type",
        "test_the_sdk_gets_a_golden_answer",
        "test_curl_gets_a_golden_answer",
        "test_fifty_clients_at_once_each_get_their_own_answer",
    }
    message = report.failures["test_each_golden_request_gets_its_golden_answer"]
    assert message.startswith(
        f"AssertionError: golden case 0: $.predictions[0].label is {label}, not {(label + 1) % 10}"
    )


def with_another_label(path: Path) -> int:
    """Write a golden set that expects another label in its first case; return the right one."""
    golden_set = golden.read_folder(MODEL)
    assert golden_set is not None
    first, *others = golden_set
    answer = json.loads(first.expected.body or b"")
    right: int = answer["predictions"][0]["label"]
    answer["predictions"][0]["label"] = (right + 1) % 10
    wrong = replace(first, expected=replace(first.expected, body=json.dumps(answer).encode()))
    golden.write([wrong, *others], path)
    return right


def test_a_media_type_that_is_declared_and_not_served_fails_by_its_name(
    live: LiveEndpoint, tmp_path: Path
) -> None:
    document = json.loads(OPENAPI.read_text())
    invocation = document["paths"]["/invocations"]["post"]
    invocation["responses"]["200"]["content"]["application/xml"] = {}
    document["components"]["schemas"]["Response"]["required"] = ["predictions", "model"]
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))

    assert smoke(live, tmp_path / "smoke.xml", "--openapi", str(path), "-k", "api").failed == {
        "test_each_media_type_declared_for_answers_is_given[application/xml]",
        "test_an_answer_is_as_the_schema_says",
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
    assert smoke(small_payload, tmp_path / "smoke.xml", "-k", "payload", *options).failed == failed
