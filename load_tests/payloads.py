"""What the users send and what they must be answered: the golden set of the release."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class WrongAnswerError(Exception):
    """The endpoint answered 200 with something other than the golden prediction."""


@dataclass(frozen=True)
class Payload:
    body: bytes
    content_type: str
    label: int
    probabilities: tuple[float, ...]
    tolerance: float

    def check(self, answer: bytes) -> None:
        """Raise WrongAnswerError unless `answer` is this payload's prediction, within the tolerance."""
        try:
            (prediction,) = json.loads(answer)["predictions"]
            label, probabilities = prediction["label"], prediction["probabilities"]
        except (ValueError, KeyError, TypeError) as error:
            raise WrongAnswerError("the answer is not one prediction with label and probabilities") from error
        if label != self.label:
            raise WrongAnswerError("the label is not the golden one")
        if len(probabilities) != len(self.probabilities):
            raise WrongAnswerError("the number of probabilities is not the golden one")
        pairs = zip(probabilities, self.probabilities, strict=True)
        if any(not abs(got - wanted) <= self.tolerance for got, wanted in pairs):
            raise WrongAnswerError("a probability is further from the golden one than the tolerance")


def read_payloads(path: Path) -> list[Payload]:
    """Read a golden set: one request for each of its cases. Raises ValueError when it has none."""
    golden: dict[str, Any] = json.loads(path.read_text())
    payloads = [
        Payload(
            body=json.dumps({"instances": [case["instance"]]}).encode(),
            content_type=golden["content_type"],
            label=case["prediction"]["label"],
            probabilities=tuple(case["prediction"]["probabilities"]),
            tolerance=float(golden["tolerance"]),
        )
        for case in golden["cases"]
    ]
    if not payloads:
        raise ValueError(f"{path} has no cases: a load test needs at least one request to send.")
    return payloads
