"""The application behind the HTTP port. Edit it to change how every request is answered.

`decode`, `predict` and `encode` are the three steps of an invocation (`serving/http/batching.py` calls
them), both for the route below and for the batch server (`serving/http/batch_server.py`), which answers most
invocations of the project's own model behind nginx: a change here is in force for both. The handler is the
project's own (`digits/handler.py`), or a user's inference.py (`serving/handlers/user_handler.py`).
"""

import os
from functools import partial
from typing import Any

from flask import Flask, Response, request

from serving.handlers.golden_cases import GoldenCases
from serving.handlers.handler import Answer, Handler
from serving.http import application, golden_check, request_log
from serving.http.application import refusal
from serving.http.request_log import RequestLog
from serving.http.service import Service, Steps
from serving.platform.identity import Identity
from serving.platform.limits import Limits

__all__ = ["create_app", "decode", "encode", "predict", "refusal", "request"]  # the last two: for your hooks


def decode(handler: Handler, body: bytes, content_type: str) -> Any:
    """Turn a request's body into the model's input. Raises BadRequest for what the caller did wrong."""
    return handler.decode(body, content_type)


def predict(handler: Handler, data: Any) -> Any:
    """Run the model on what `decode` returned; several requests' input may come as one batch."""
    return handler.predict(data)


def encode(handler: Handler, prediction: Any, accept: str) -> Answer:
    """Turn the model's output into an answer of the media type `accept`."""
    return handler.encode(prediction, accept)


def create_app(
    handler: Handler,
    identity: Identity,
    limits: Limits,
    log: RequestLog | None = None,
    cases: GoldenCases | None = None,
) -> Flask:
    """Serve `handler`: /ping and /invocations here, /metrics and /openapi.json by `application`.

    `cases`: what it has to answer before the first ping.
    """
    log = log or request_log.from_environ(os.environ, identity)
    service = Service(handler, Steps(decode, predict, encode), identity, limits, log)
    app = application.create(__name__, service)
    service.golden_cases = cases
    if cases is not None:
        service.check_golden = partial(golden_check.check, app, cases)
        service.answers_golden = partial(golden_check.answers_one, app, cases)

    @app.get("/ping")
    def ping() -> Response:
        """Answer 200 if the model can predict, in every worker; else 503, and SageMaker sends no traffic."""
        return application.ping(service)

    @app.post("/invocations")
    def invocations() -> Response:
        """Answer one request: decode, predict, encode."""
        with application.recorded(service) as invocation:
            return application.answer(service, invocation)

    return app
