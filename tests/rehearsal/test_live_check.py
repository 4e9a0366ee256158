"""The final check of an endpoint: the release that was deployed must give the golden answers."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import golden
from golden import Case, Comparison, Expected, Request
from rehearsal.errors import RehearsalError
from rehearsal.live_check import answering_instance, read_answered

CSV = Case(
    Request(b"a b", "text/plain", "text/csv", "who=me"),
    Expected(b"2,3", "text/csv", comparison=Comparison("text")),
    name="words.txt",
)
STREAM = Case(Request(b"a", "text/plain", is_stream=True), Expected(b"parts", comparison=Comparison("text")))
REFUSED = Case(Request(b""), Expected(b"no", status=400, comparison=Comparison("text")))


@dataclass
class Runtime:
    """SageMaker Runtime that answers every request with one body, of one release."""

    body: bytes
    content_type: str = "text/csv"
    attributes: str = "release=new;instance=i1"
    error: str = ""
    asked: dict[str, Any] = field(default_factory=dict)

    def invoke_endpoint(self, **words: Any) -> dict[str, Any]:
        if self.error:
            raise ClientError(
                {"Error": {"Code": "ModelError"}, "OriginalStatusCode": 500, "OriginalMessage": self.error},
                "InvokeEndpoint",
            )
        return self._answer(words, io.BytesIO(self.body))

    def invoke_endpoint_with_response_stream(self, **words: Any) -> dict[str, Any]:
        parts = [self.body[:2], self.body[2:]]
        return self._answer(words, [{"PayloadPart": {"Bytes": part}} for part in parts])

    def _answer(self, words: dict[str, Any], body: Any) -> dict[str, Any]:
        self.asked = words
        return {"Body": body, "ContentType": self.content_type, "CustomAttributes": self.attributes}


def ask(runtime: Runtime, *cases: Case) -> str:
    return answering_instance(runtime, "digits", "new", golden.GoldenSet(cases, ""), 0)


def test_a_golden_request_is_asked_in_its_own_media_type_and_the_instance_returned() -> None:
    runtime = Runtime(b"2,3")

    assert ask(runtime, CSV) == "i1"
    assert runtime.asked == {
        "EndpointName": "digits", "Body": b"a b", "ContentType": "text/plain", "Accept": "text/csv",
        "CustomAttributes": "who=me",
    }  # fmt: skip


def test_a_streams_parts_are_joined() -> None:
    assert ask(Runtime(b"parts", content_type="text/plain"), STREAM) == "i1"


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        (Runtime(b"2,4"), r'golden case 0 \(words\.txt\): line 1 is "2,4", not "2,3"'),
        (Runtime(b"2,3", content_type="text/html"), "content type is text/html, not text/csv"),
        (Runtime(b"", error="it broke"), "status is 500, not 200: it broke"),
        (Runtime(b"2,3", attributes="release=old;instance=i1"), "answered by release old, not by new"),
        (Runtime(b"2,3", attributes=""), "answered by release None, not by new"),
    ],
)
def test_another_answer_or_another_release_ends_the_rehearsal(runtime: Runtime, reason: str) -> None:
    with pytest.raises(RehearsalError, match=reason):
        ask(runtime, CSV)


def test_cases_answered_with_an_error_are_not_asked(tmp_path: Path) -> None:
    golden.write([REFUSED, CSV], tmp_path / "golden.jsonl")

    assert read_answered(tmp_path / "golden.jsonl").cases == (CSV,)


@pytest.mark.parametrize(
    ("cases", "reason"), [([], "cannot be read"), ([REFUSED], "is answered with a success")]
)
def test_a_golden_set_that_proves_nothing_ends_the_rehearsal(
    tmp_path: Path, cases: list[Case], reason: str
) -> None:
    if cases:
        golden.write(cases, tmp_path / "golden.jsonl")

    with pytest.raises(RehearsalError, match=reason):
        read_answered(tmp_path / "golden.jsonl")
