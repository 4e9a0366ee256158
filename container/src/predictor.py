"""The application behind the HTTP port: /ping, /invocations and /metrics.

It knows of the model what `handler.Handler` says: decode, predict, encode. `model.py` and `codec.py`
are the files to edit for another model and its formats, unless the archive brings an inference.py.
"""

import itertools
import time
from collections.abc import Iterator

import codec
import media
from counters import Counters
from flask import Flask, Response, request, stream_with_context
from handler import Answer, Handler, HandlerFailed
from identity import HEADER, Identity
from limits import Limits
from media import BadRequest
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

_JSON = media.JSON


def create_app(handler: Handler, identity: Identity, limits: Limits) -> Flask:
    """Serve `handler`. Every answer names `identity`; every refusal is {"error": "<one sentence>"}."""
    app = Flask(__name__, static_folder=None)
    # One more than is allowed: werkzeug cuts a chunked body off at the limit, and does not say so.
    app.config["MAX_CONTENT_LENGTH"] = limits.payload_bytes + 1
    counters = Counters()
    header = identity.header

    @app.get("/ping")
    def ping() -> Response:
        """200 once this worker's model is ready; SageMaker sends no traffic before."""
        try:
            if not handler.is_ready:
                handler.warm_up()
        except (
            Exception
        ) as error:  # whatever keeps the model from predicting, SageMaker must not send traffic
            app.logger.exception("the model cannot predict")
            return _refusal(503, f"the model cannot predict: {type(error).__name__}")
        return Response(status=200, mimetype=_JSON)

    @app.post("/invocations")
    def invocations() -> Response:
        started, instances, status = time.perf_counter(), 0, 500
        try:
            accept = handler.negotiate(request.headers.get("Accept", ""))
            body = request.get_data(cache=False)
            if len(body) > limits.payload_bytes:
                raise RequestEntityTooLarge
            with handler.turn:
                data = handler.decode(body, request.headers.get("Content-Type", ""))
                answer = handler.encode(handler.predict(data), accept)
                response = _response(answer, handler)
            instances, status = handler.count(data), answer.status
            return response  # noqa: TRY300  # what an else would hold is the whole of it
        except (BadRequest, HandlerFailed) as error:
            status = error.status
            raise
        except HTTPException as error:
            status = error.code or 500
            raise
        finally:
            counters.count(status, instances, time.perf_counter() - started)

    @app.get("/openapi.json")
    def openapi() -> Response:
        """What may be sent and will come back; a user's own program has no such document."""
        document = handler.openapi()
        if document is None:
            raise NotFound
        return Response(document, mimetype=_JSON)

    @app.get("/metrics")
    def metrics() -> Response:
        page = counters.page(identity.release, identity.instance)
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
            answer.headers["Allow"] = allow
        return answer

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        app.logger.exception("%s %s failed", request.method, request.path)
        return _refusal(500, f"{type(error).__name__} in the server; its log has the details")

    @app.after_request
    def identify(response: Response) -> Response:
        response.headers[HEADER] = header
        return response

    return app


def _response(answer: Answer, handler: Handler) -> Response:
    """The answer; a stream's first part is waited for, so that its failure is still a 500."""
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, answer.headers, content_type=answer.content_type)
    first = list(itertools.islice(answer.body, 1))
    parts = stream_with_context(_in_turns(first, answer.body, handler))
    headers = {**answer.headers, "X-Accel-Buffering": "no"}  # so that nginx passes on what comes as it comes
    return Response(parts, answer.status, headers, content_type=answer.content_type)


def _in_turns(first: list[bytes], rest: Iterator[bytes], handler: Handler) -> Iterator[bytes]:
    """The parts of a stream; others have their turn between two of them."""
    yield from first
    while True:
        with handler.turn:
            part = next(rest, None)
        if part is None:
            return
        yield part


def _sentence(error: HTTPException) -> str:
    """What werkzeug has to say, with what was asked for."""
    asked = f"{request.method} {request.path[:80]}"
    if error.code in (404, 405):
        return f"{asked}: expected GET /ping, POST /invocations or GET /metrics"
    return f"{asked}: {(error.description or error.name).split('. ')[0]}"


def _refusal(status: int, sentence: str) -> Response:
    return Response(codec.encode_error(sentence), status=status, mimetype=_JSON)
