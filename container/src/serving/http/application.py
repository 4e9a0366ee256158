"""The Flask application around the routes of `predictor.py`: errors as JSON, metrics, the identity header."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from flask import Flask, Response, current_app, request, signals
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from serving.handlers import media
from serving.handlers.context import Call
from serving.handlers.errors import BadRequest, HandlerFailed
from serving.handlers.handler import Answer
from serving.http import slow_clients, streaming
from serving.http.batching import PendingRequest, answer_all
from serving.http.errors import error_body, status_of
from serving.http.http_messages import CONTENT_ENCODING, INFERENCE_ID, REQUEST_START, Head
from serving.http.invocation import Invocation
from serving.http.service import SERVICE, Service

T = TypeVar("T")
_SIGNALS = (signals.request_started, signals.request_finished, signals.got_request_exception)


def create(name: str, service: Service) -> Flask:
    """Create an application with all routes but /ping and /invocations.

    Every answer names `service.identity`; every refusal is {"error": "<one sentence>"}.
    """
    app = Flask(name, static_folder=None)
    # One more than is allowed: werkzeug cuts a chunked body off at the limit, and does not say so.
    app.config["MAX_CONTENT_LENGTH"] = service.limits.payload_bytes + 1
    app.extensions[SERVICE] = service
    app.add_url_rule("/openapi.json", view_func=_openapi)
    app.add_url_rule("/metrics", view_func=_metrics)
    app.register_error_handler(BadRequest, _bad_request)
    app.register_error_handler(HandlerFailed, _handler_failed)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(service.identify)
    return app


def refusal(status: int, sentence: str) -> Response:
    """Return an answer that is not a success."""
    return Response(error_body(sentence), status=status, mimetype=media.JSON)


def error_response(app: Flask, error: Exception) -> Response:
    """Return what `app` answers to an invocation when one of its steps raises `error`."""
    with app.test_request_context("/invocations", method="POST"):
        return app.finalize_request(app.handle_user_exception(error))


def has_hooks(app: Flask) -> bool:
    """Return whether a hook, signal receiver or middleware has to see every request or answer."""
    service: Service = app.extensions[SERVICE]
    registered = (
        app.before_request_funcs, app.teardown_request_funcs, app.url_value_preprocessors,
        {None: app.teardown_appcontext_funcs},
    )  # fmt: skip
    return (
        any(functions for by_blueprint in registered for functions in by_blueprint.values())
        or app.after_request_funcs != {None: [service.identify]}
        or "wsgi_app" in vars(app)
        or any(signal.receivers for signal in _SIGNALS)
    )


def ping(service: Service) -> Response:
    """Answer 200 if every worker has loaded its model and no worker's has failed since; else 503."""
    try:
        if not service.is_ready:
            service.warm_up()
    except Exception as error:  # whatever the reason, SageMaker must not send traffic
        current_app.logger.exception("the model cannot predict")
        return refusal(503, f"the model cannot predict: {type(error).__name__}")
    if not service.have_all_loaded():
        return refusal(503, "the model is being loaded; not every worker has it yet")
    unfit = service.counters.unfit_workers()
    if unfit:
        return refusal(503, f"the model cannot predict in {unfit} of the workers; the log has the reason")
    return Response(status=200, mimetype=media.JSON)


@contextlib.contextmanager
def recorded(service: Service) -> Iterator[Invocation]:
    """Count and log the invocation that the block answers, whether it succeeds or raises."""
    invocation = Invocation(request.headers.get(INFERENCE_ID, ""), waited=_waited())
    try:
        yield invocation
    except Exception as error:
        invocation.status, invocation.error = status_of(error), str(error)
        raise
    finally:
        service.record(invocation)


def answer(service: Service, invocation: Invocation) -> Response:
    """Answer the request that this thread is serving: decode, predict, encode.

    A stream's first part is waited for, so that its failure is still a 500.
    """
    began, body = time.monotonic(), slow_clients.read_body(request, service.limits.stream_seconds)
    head = Head(
        len(body),
        request.headers.get("Content-Type", ""),
        request.headers.get("Accept", ""),
        invocation.inference_id,
        request.headers.get(CONTENT_ENCODING, ""),
    )
    done: Future[Answer | Exception] = Future()
    call = Call(Headers(request.headers))
    pending = PendingRequest(head, body, invocation, done.set_result, call)
    if service.program_thread is not None:
        service.program_thread.submit(pending, done)
    else:
        with service.at_work():
            answer_all([pending], service)
    found = done.result()
    if isinstance(found, Exception):
        raise found
    found_response = _response(found, service, call, began)
    invocation.status = found_response.status_code
    return found_response


def _response(answer: Answer, service: Service, call: Call, began: float) -> Response:
    """Turn a handler's answer into Flask's; `began` is when the request came, by time.monotonic()."""
    body = answer.body
    if isinstance(body, bytes):
        return Response(body, answer.status, answer.headers, content_type=answer.content_type)

    def run(function: Callable[[], T]) -> T:
        return service.run(function, call)

    seconds, peer = service.limits.stream_seconds, request.environ.get("gunicorn.socket")
    first = run(lambda: list(itertools.islice(body, 1)))
    service.on_stream(peer)
    parts = streaming.parts(
        first,
        body,
        run,
        peer,
        deadline=began + seconds,
        seconds=seconds,
    )
    headers = {**answer.headers, "X-Accel-Buffering": "no"}  # nginx then sends each part at once
    return Response(parts, answer.status, headers, content_type=answer.content_type)


def _service() -> Service:
    service: Service = current_app.extensions[SERVICE]
    return service


def _openapi() -> Response:
    """Return the handler's OpenAPI document; a user's program has none."""
    document = _service().handler.openapi()
    if document is None:
        raise NotFound
    return Response(document, mimetype=media.JSON)


def _metrics() -> Response:
    service = _service()
    page = service.counters.prometheus_text(service.identity.release, service.identity.instance)
    return Response(page, content_type="text/plain; version=0.0.4; charset=utf-8")


def _bad_request(error: BadRequest) -> Response:
    return refusal(error.status, str(error))


def _handler_failed(error: HandlerFailed) -> Response:
    current_app.logger.error("%s", error, exc_info=error.__cause__ or error)
    return refusal(error.status, str(error))


def _too_large(_error: RequestEntityTooLarge) -> Response:
    return refusal(413, _service().limits.too_large)


def _http_error(error: HTTPException) -> Response:
    answer = refusal(error.code or 500, _sentence(error))
    allow = error.get_response().headers.get("Allow")
    if allow:
        methods = sorted(allow.split(", "))  # a set: each process orders it anew
        answer.headers["Allow"] = ", ".join(methods)
    return answer


def _unexpected(error: Exception) -> Response:
    current_app.logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return refusal(500, f"{type(error).__name__} in the server; its log has the details")


def _waited() -> float:
    """Return seconds since nginx sent the request on; 0 for other clients, which have an address."""
    if request.remote_addr or REQUEST_START not in request.headers:
        return 0.0
    return max(0.0, time.time() - float(request.headers[REQUEST_START]))


def _sentence(error: HTTPException) -> str:
    """Return werkzeug's own sentence, after the method and path of the request."""
    asked = f"{request.method} {request.path[:80]}"
    if error.code in (404, 405):
        return f"{asked}: expected GET /ping, POST /invocations or GET /metrics"
    return f"{asked}: {(error.description or error.name).split('. ')[0]}"
