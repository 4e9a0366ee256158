"""Every worker answers the archive's golden cases before it is ready: decode, predict, encode, and the refusals.

A wrong answer ends the start. The check takes limited time: a thousand slow cases would keep SageMaker waiting
until it gives the instance up.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask

import golden
from golden import Case
from serving.engines.agreement import WrongAnswers
from serving.handlers import golden_cases
from serving.handlers.context import Call
from serving.handlers.golden_cases import GoldenCases
from serving.handlers.handler import Answer
from serving.http import application
from serving.http.service import SERVICE, Service


def check(app: Flask, cases: GoldenCases, seconds: float) -> str:
    """Answer the cases for up to `seconds`, at least one of them; return what a log has to say of them, if anything.

    Raises WrongAnswers, with case, place and both values, from the exception behind the answer.
    """
    steps = _Steps(app.extensions[SERVICE])
    deadline, asked, wrong = time.monotonic() + seconds, 0, list[str]()
    with _errors_unlogged(app):
        for number, case in enumerate(cases):
            if number and time.monotonic() > deadline:
                break
            answer, error = _answer(app, steps, case)
            difference = golden.first_difference(case, answer)
            asked += 1
            if difference is not None:
                wrong.append(f"{cases.label(number)}: {difference}")
                if len(wrong) > cases.most_wrong or not case.is_answered:
                    raise WrongAnswers(wrong[-1]) from error
    return "; ".join(_remarks(cases, asked, seconds, wrong))


def answers_one(app: Flask, cases: GoldenCases) -> bool:
    """Return whether the first case that is no refusal is answered as it must be."""
    case = next((case for case in cases if case.is_answered), None)
    if case is None:
        return False
    with _errors_unlogged(app):
        answer, _ = _answer(app, _Steps(app.extensions[SERVICE]), case)
    return golden.first_difference(case, answer) is None


def _remarks(cases: GoldenCases, asked: int, seconds: float, wrong: list[str]) -> Iterator[str]:
    if asked < len(cases):
        left = len(cases) - asked
        yield f"{asked:,} golden cases took {seconds:g} s, {left:,} were not asked (SERVE_GOLDEN_SECONDS)"
    if wrong:
        yield f"{len(wrong)} of {asked:,} golden answers differ, which the engine's limit allows: {wrong[0]}"
    if cases.found.note:
        yield cases.found.note


@dataclass(frozen=True)
class _Steps:
    """The steps of a service. After an unexpected error `service.predict` would check the golden cases again."""

    service: Service

    def begin(self, call: Call) -> None:
        self.service.begin(call)

    def negotiate(self, accept: str) -> str:
        return self.service.negotiate(accept)

    def decode(self, body: bytes, content_type: str) -> Any:
        return self.service.decode(body, content_type)

    def predict(self, data: Any) -> Any:
        return self.service.steps.predict(self.service.handler, data)

    def encode(self, prediction: Any, accept: str) -> Answer:
        return self.service.encode(prediction, accept)


def _answer(app: Flask, steps: _Steps, case: Case) -> tuple[golden.Answer, Exception | None]:
    """Return the answer to a case, and the exception behind a refusal."""
    try:
        return golden_cases.ask(steps, case)[1], None
    except Exception as error:  # a refusal or a defect: the application's error handlers tell them apart
        refused = application.error_response(app, error)
        return golden.Answer(refused.status_code, refused.content_type or "", refused.get_data()), error


@contextlib.contextmanager
def _errors_unlogged(app: Flask) -> Iterator[None]:
    """Drop what this thread logs of refusals: an expected one is no error, and any other ends the start."""
    own = threading.get_ident()

    def is_of_another_thread(record: logging.LogRecord) -> bool:
        return record.thread != own

    app.logger.addFilter(is_of_another_thread)
    try:
        yield
    finally:
        app.logger.removeFilter(is_of_another_thread)
