"""The application behind the HTTP port: /ping, /invocations and /metrics.

This is the file to edit for another way of decoding, predicting or encoding; `model.py` is the file
to edit for another model.
"""

import time

import codec
from codec import BadRequest
from counters import Counters
from flask import Flask, Response, request
from identity import HEADER, Identity
from limits import Limits
from model import Model
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

_JSON = "application/json"
_ACCEPTED = frozenset({"", "*/*", _JSON})


def create_app(model: Model, identity: Identity, limits: Limits) -> Flask:
    """Serve `model`. Every answer names `identity`; every refusal is {"error": "<one sentence>"}."""
    app = Flask(__name__, static_folder=None)
    # One more than is allowed: werkzeug cuts a chunked body off at the limit, and does not say so.
    app.config["MAX_CONTENT_LENGTH"] = limits.payload_bytes + 1
    counters = Counters()
    header = identity.header

    @app.get("/ping")
    def ping() -> Response:
        """200 once this worker's model has predicted; SageMaker sends no traffic before."""
        try:
            if not model.has_predicted:
                model.warm_up()
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
            _negotiate()
            body = request.get_data(cache=False)
            if len(body) > limits.payload_bytes:
                raise RequestEntityTooLarge
            images = codec.decode(body)
            answer = codec.encode(model.predict(images))
            instances, status = len(images), 200
            return Response(answer, mimetype=_JSON)
        except BadRequest as error:
            status = error.status
            raise
        except HTTPException as error:
            status = error.code or 500
            raise
        finally:
            counters.count(status, instances, time.perf_counter() - started)

    @app.get("/metrics")
    def metrics() -> Response:
        page = counters.page(identity.release, identity.instance)
        return Response(page, content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.errorhandler(BadRequest)
    def bad_request(error: BadRequest) -> Response:
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


def _negotiate() -> None:
    """Raise BadRequest, 415 or 406, unless JSON comes in and JSON may go out."""
    content_type = request.mimetype
    if content_type not in ("", _JSON):
        raise BadRequest(f"Content-Type: expected {_JSON}, got {content_type[:80]}", status=415)
    accept = request.headers.get("Accept", "")
    if accept not in _ACCEPTED and not request.accept_mimetypes.best_match([_JSON]):
        raise BadRequest(f"Accept: expected {_JSON} among the types, got {accept[:80]}", status=406)


def _sentence(error: HTTPException) -> str:
    """What werkzeug has to say, with what was asked for."""
    asked = f"{request.method} {request.path[:80]}"
    if error.code in (404, 405):
        return f"{asked}: expected GET /ping, POST /invocations or GET /metrics"
    return f"{asked}: {(error.description or error.name).split('. ')[0]}"


def _refusal(status: int, sentence: str) -> Response:
    return Response(codec.encode_error(sentence), status=status, mimetype=_JSON)
