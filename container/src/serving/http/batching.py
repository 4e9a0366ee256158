"""Answer several requests together: decode each, predict all that can be joined in one batch, encode each.

By default nothing waits: requests that arrive while a batch is predicted form the next one. Batches grow
with the load, and a lone request is answered at once.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.handlers import joining
from serving.handlers.context import Call
from serving.handlers.errors import HandlerFailed
from serving.handlers.handler import Answer
from serving.handlers.joining import CannotSplit, Joining
from serving.http import content_coding
from serving.http.errors import status_of
from serving.http.http_messages import CONTENT_ENCODING, Head
from serving.http.invocation import Invocation
from serving.http.service import Service

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class PendingRequest:
    """A request that has arrived whole and is not yet answered."""

    head: Head
    body: bytes
    invocation: Invocation
    reply: Callable[[Answer | Exception], None]
    call: Call | None = None  # for handlers whose steps read the headers
    accept: str = ""
    data: Any = None


@dataclass(slots=True)
class _Batch:
    """Requests whose data can be joined."""

    requests: list[PendingRequest] = field(default_factory=list)
    instances: int = 0


def answer_all(requests: Sequence[PendingRequest], service: Service) -> None:
    """Call `reply` of every request with its answer or its error. Raises no error of the handler's."""
    decoded = [request for request in requests if _decode(request, service)]
    batches = split_into_batches(decoded, service.handler.joining, service.limits.batch_instances)
    for batch in batches:
        for request, prediction in _predict(batch, service):
            _finish(request, _encode(request, prediction, service), service)


def split_into_batches(
    requests: Sequence[PendingRequest], joined: Joining | None, most: int
) -> Iterator[list[PendingRequest]]:
    """Split requests into batches of up to `most` instances; those of one kind keep their order."""
    open_batches: dict[Any, _Batch] = {}
    for request in requests:
        kind = None if joined is None else joined.kind(request.data)
        if kind is None:
            yield [request]
            continue
        batch, count = open_batches.setdefault(kind, _Batch()), joining.rows(request.data)
        if batch.requests and batch.instances + count > most:
            yield batch.requests
            batch = open_batches[kind] = _Batch()
        batch.requests.append(request)
        batch.instances += count
    for batch in open_batches.values():
        yield batch.requests


def _decode(request: PendingRequest, service: Service) -> bool:
    """Decode a request; return False if it was refused, and has been answered."""
    request.invocation.lap()
    try:
        _begin(request, service)
        request.accept = service.negotiate(request.head.accept)
        request.data = service.decode(_unpacked(request, service), request.head.content_type)
    except BaseException as error:  # a refusal or a defect: Flask's error handlers tell them apart
        _finish(request, _without_exit(error), service)
        return False
    request.invocation.lap()
    return True


def _unpacked(request: PendingRequest, service: Service) -> bytes:
    """Return the body as it was before the client compressed it; a handler sees no Content-Encoding then."""
    codings = request.head.content_encoding
    if not codings:
        return request.body
    body = content_coding.decoded(request.body, codings, service.limits.payload_bytes)
    if request.call is not None:
        request.call.headers.remove(CONTENT_ENCODING)
    return body


def _predict(requests: list[PendingRequest], service: Service) -> Iterator[tuple[PendingRequest, Any]]:
    """Yield each request with its part of the prediction, or with the error that it alone caused."""
    predictions = _predict_together(requests, service)
    if predictions is None:
        for request in requests:
            yield request, _predict_one(request, service)
        return
    for request in requests:
        request.invocation.lap()
        request.invocation.batch = len(requests)
    yield from zip(requests, predictions, strict=True)


def _predict_together(requests: list[PendingRequest], service: Service) -> list[Any] | None:
    """Return each request's part of one prediction; None if each has to be predicted alone."""
    joined = service.handler.joining
    if joined is None or len(requests) == 1:
        return None
    counts = [joining.rows(request.data) for request in requests]
    try:
        return joining.split(service.predict(joined.join([request.data for request in requests])), counts)
    except CannotSplit as error:
        logger.warning("Batching is off from here on: a prediction was %s", error)
        service.handler.joining = None
    except BaseException as error:  # an engine may raise anything, because of any one of them
        logger.warning("A batch of %d failed, and each is predicted alone: %s", len(requests), error)
    return None


def _predict_one(request: PendingRequest, service: Service) -> Any:
    """Return the prediction for a request, or the error that it caused."""
    try:
        _begin(request, service)
        prediction = service.predict(request.data)
    except BaseException as error:  # an engine may raise anything
        prediction = _without_exit(error)
    request.invocation.lap()
    return prediction


def _encode(request: PendingRequest, prediction: Any, service: Service) -> Answer | Exception:
    if isinstance(prediction, Exception):
        return prediction
    try:
        _begin(request, service)
        return service.encode(prediction, request.accept)
    except BaseException as error:  # a refusal or a defect: Flask's error handlers tell them apart
        return _without_exit(error)


def _without_exit(error: BaseException) -> Exception:
    """Return the error for one request: what would end the thread, such as SystemExit, ends the request alone."""
    if isinstance(error, Exception):
        return error
    failure = HandlerFailed(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    failure.__cause__ = error
    return failure


def _begin(request: PendingRequest, service: Service) -> None:
    if request.call is not None:
        service.handler.begin(request.call)


def _finish(request: PendingRequest, result: Answer | Exception, service: Service) -> None:
    invocation = request.invocation
    if isinstance(result, Exception):
        invocation.status, invocation.error = status_of(result), str(result)
    else:
        invocation.status, invocation.instances = result.status, service.handler.count(request.data)
    request.reply(result)
