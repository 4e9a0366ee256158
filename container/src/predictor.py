"""The application behind the HTTP port: /ping, /invocations and /metrics.

It knows of the model what `handler.Handler` says: decode, predict, encode. `model.py` and `codec.py`
are the files to edit for another model and its formats, unless the archive brings an inference.py.
"""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import codec
import media
import request_log
import streaming
from counters import Counters
from flask import Flask, Response, request, signals, stream_with_context
from handler import Answer, Handler, HandlerFailed
from identity import HEADER, Identity
from invocation import Invocation
from limits import Limits
from media import BadRequest
from request_log import RequestLog
from watch import Watch
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge
from wire import INFERENCE_ID, STAMP

_JSON = media.JSON
_SIGNALS = (signals.request_started, signals.request_finished, signals.got_request_exception)
SERVICE = "service"  # its name among app.extensions


@dataclass
class Service:
    """The steps from a request to its answer, as Flask and the lane (`lane.py`) both take them.

    A change to a step is made here, once, and is in force for both.
    """

    handler: Handler
    identity: Identity
    limits: Limits
    log: RequestLog
    counters: Counters = field(default_factory=Counters)
    watch: Watch = field(default_factory=Watch)
    is_fit: bool = True  # False while the model fails to predict what it should be able to

    def negotiate(self, accept: str) -> str:
        return self.handler.negotiate(accept)

    def decode(self, body: bytes, content_type: str) -> Any:
        if len(body) > self.limits.payload_bytes:
            raise RequestEntityTooLarge
        return self.handler.decode(body, content_type)

    def predict(self, data: Any) -> Any:
        try:
            return self.handler.predict(data)
        except (BadRequest, HandlerFailed, HTTPException):
            raise
        except Exception:  # whatever the engine raised: was it the request, or is it the model?
            self.probe()
            raise

    def encode(self, prediction: Any, accept: str) -> Answer:
        return self.handler.encode(prediction, accept)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """It is the caller's turn, and it is seen how long that takes."""
        with self.handler.turn, self.watch.at_work():
            yield

    def record(self, invocation: Invocation) -> None:
        """Count and log an invocation that has ended."""
        invocation.end()
        self.counters.count(invocation)
        self.log.note(invocation)

    def identify(self, response: Response) -> Response:
        """Name release and instance in an answer."""
        response.headers[HEADER] = self.identity.header
        return response

    def probe(self) -> None:
        """Find out whether the model can still predict; /ping tells."""
        try:
            self.handler.warm_up()
        except Exception:  # whatever keeps the model from predicting, SageMaker must not send traffic
            self.is_fit = False
        else:
            self.is_fit = True
        self.counters.set_fit(self.is_fit)


def create_app(handler: Handler, identity: Identity, limits: Limits, log: RequestLog | None = None) -> Flask:
    """Serve `handler`. Every answer names `identity`; every refusal is {"error": "<one sentence>"}."""
    app = Flask(__name__, static_folder=None)
    # One more than is allowed: werkzeug cuts a chunked body off at the limit, and does not say so.
    app.config["MAX_CONTENT_LENGTH"] = limits.payload_bytes + 1
    service = Service(handler, identity, limits, log or request_log.from_environ(os.environ, identity))
    app.extensions[SERVICE] = service

    @app.get("/ping")
    def ping() -> Response:
        """200 once this worker's model is ready, and as long as all workers' are; else there is no traffic."""
        try:
            if not handler.is_ready:
                handler.warm_up()
        except Exception as error:  # whatever keeps it from predicting, SageMaker must not send traffic
            app.logger.exception("the model cannot predict")
            return _refusal(503, f"the model cannot predict: {type(error).__name__}")
        unfit = service.counters.unfit_workers()
        if unfit:
            return _refusal(
                503, f"the model cannot predict in {unfit} of the workers; the log has the reason"
            )
        return Response(status=200, mimetype=_JSON)

    @app.post("/invocations")
    def invocations() -> Response:
        began = time.monotonic()
        invocation = Invocation(request.headers.get(INFERENCE_ID, ""), waited=_waited())
        try:
            accept = service.negotiate(request.headers.get("Accept", ""))
            body = request.get_data(cache=False)
            with service.at_work():
                invocation.lap()
                data = service.decode(body, request.headers.get("Content-Type", ""))
                invocation.lap()
                prediction = service.predict(data)
                invocation.lap()
                response = _response(service.encode(prediction, accept), service, began)
            invocation.instances, invocation.status = handler.count(data), response.status_code
            return response  # noqa: TRY300  # what an else would hold is the whole of it
        except Exception as error:
            invocation.status, invocation.error = status_of(error), str(error)
            raise
        finally:
            service.record(invocation)

    @app.get("/openapi.json")
    def openapi() -> Response:
        """What may be sent and will come back; a user's own program has no such document."""
        document = handler.openapi()
        if document is None:
            raise NotFound
        return Response(document, mimetype=_JSON)

    @app.get("/metrics")
    def metrics() -> Response:
        page = service.counters.page(identity.release, identity.instance)
        return Response(page, content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.errorhandler(BadRequest)
    def bad_request(error: BadRequest) -> Response:
        return _refusal(error.status, str(error))

    @app.errorhandler(HandlerFailed)
    def handler_failed(error: HandlerFailed) -> Response:
        app.logger.error("%s", error, exc_info=error.__cause__ or error)
        return _refusal(error.status, str(error))

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(_error: RequestEntityTooLarge) -> Response:
        return _refusal(413, limits.too_large)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        answer = _refusal(error.code or 500, _sentence(error))
        allow = error.get_response().headers.get("Allow")
        if allow:
            methods = sorted(allow.split(", "))  # a set: each process orders it anew
            answer.headers["Allow"] = ", ".join(methods)
        return answer

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        app.logger.error("%s %s failed", request.method, request.path, exc_info=error)
        return _refusal(500, f"{type(error).__name__} in the server; its log has the details")

    app.after_request(service.identify)
    return app


def has_hooks(app: Flask) -> bool:
    """Whether something of the application's wants to see every request or answer."""
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


def refusal(app: Flask, error: Exception) -> Response:
    """What the application answers to an invocation when one of its steps raises `error`."""
    with app.test_request_context("/invocations", method="POST"):
        return app.finalize_request(app.handle_user_exception(error))


def status_of(error: Exception) -> int:
    """The HTTP status of what a step raised."""
    if isinstance(error, BadRequest | HandlerFailed):
        return error.status
    return (error.code or 500) if isinstance(error, HTTPException) else 500


def _waited() -> float:
    """Seconds since nginx sent the request on; only nginx is heard, and it comes by a Unix socket."""
    if request.remote_addr or STAMP not in request.headers:
        return 0.0
    return max(0.0, time.time() - float(request.headers[STAMP]))


def _response(answer: Answer, service: Service, began: float) -> Response:
    """The answer; a stream's first part is waited for, so that its failure is still a 500."""
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, answer.headers, content_type=answer.content_type)
    seconds = service.limits.stream_seconds
    parts = streaming.parts(
        list(itertools.islice(answer.body, 1)),
        answer.body,
        service.at_work,
        request.environ.get("gunicorn.socket"),
        deadline=began + seconds,
        seconds=seconds,
    )
    headers = {**answer.headers, "X-Accel-Buffering": "no"}  # so that nginx passes on what comes as it comes
    return Response(stream_with_context(parts), answer.status, headers, content_type=answer.content_type)


def _sentence(error: HTTPException) -> str:
    """What werkzeug has to say, with what was asked for."""
    asked = f"{request.method} {request.path[:80]}"
    if error.code in (404, 405):
        return f"{asked}: expected GET /ping, POST /invocations or GET /metrics"
    return f"{asked}: {(error.description or error.name).split('. ')[0]}"


def _refusal(status: int, sentence: str) -> Response:
    return Response(codec.encode_error(sentence), status=status, mimetype=_JSON)
