"""Answer several requests together: decode each, predict all in one batch, encode each.

By default nothing waits: requests that arrive while a batch is predicted form the next one. Batches grow
with the load, and a lone request is answered at once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.handlers.handler import Answer
from serving.http.errors import status_of
from serving.http.http_messages import Head
from serving.http.invocation import Invocation
from serving.http.service import Service


@dataclass(slots=True)
class PendingRequest:
    """A request that has arrived whole and is not yet answered."""

    head: Head
    body: bytes
    invocation: Invocation
    reply: Callable[[Answer | Exception], None]
    accept: str = ""
    data: Any = None


@dataclass(slots=True)
class _Batch:
    """Requests whose data can be joined: of one type, and of one shape but for the first axis."""

    requests: list[PendingRequest] = field(default_factory=list)
    instances: int = 0


def answer_all(requests: Sequence[PendingRequest], service: Service) -> None:
    """Call `reply` of every request with its answer or its error. Raises no error of the handler's."""
    decoded = [request for request in requests if _decode(request, service)]
    for batch in split_into_batches(decoded, service.limits.batch_instances):
        for request, prediction in _predict(batch, service):
            _finish(request, _encode(request, prediction, service), service)


def split_into_batches(requests: Sequence[PendingRequest], most: int) -> Iterator[list[PendingRequest]]:
    """Split requests into batches of up to `most` instances; those of one kind keep their order."""
    open_batches: dict[Any, _Batch] = {}
    for request in requests:
        kind = (request.data.dtype, request.data.shape[1:])
        batch = open_batches.setdefault(kind, _Batch())
        if batch.requests and batch.instances + len(request.data) > most:
            yield batch.requests
            batch = open_batches[kind] = _Batch()
        batch.requests.append(request)
        batch.instances += len(request.data)
    for batch in open_batches.values():
        yield batch.requests


def _decode(request: PendingRequest, service: Service) -> bool:
    """Decode a request; return False if it was refused, and has been answered."""
    request.invocation.lap()
    try:
        request.accept = service.negotiate(request.head.accept)
        request.data = service.decode(request.body, request.head.content_type)
    except Exception as error:  # a refusal or a defect: Flask's error handlers tell them apart
        _finish(request, error, service)
        return False
    request.invocation.lap()
    return True


def _predict(
    requests: list[PendingRequest], service: Service
) -> Iterator[tuple[PendingRequest, NDArray[Any] | Exception]]:
    """Yield each request with its rows of the prediction, or with the error that it alone caused."""
    data = requests[0].data if len(requests) == 1 else np.concatenate([request.data for request in requests])
    try:
        predictions = service.predict(data)
    except Exception as error:  # an engine may raise anything, because of any one of them
        if len(requests) == 1:
            requests[0].invocation.lap()
            yield requests[0], error
            return
        for request in requests:
            yield from _predict([request], service)
        return
    for request in requests:
        request.invocation.lap()
        request.invocation.batch = len(requests)
    if len(requests) == 1:
        yield requests[0], predictions
        return
    end = 0
    for request in requests:
        begin, end = end, end + len(request.data)
        yield request, predictions[begin:end]


def _encode(
    request: PendingRequest, prediction: NDArray[Any] | Exception, service: Service
) -> Answer | Exception:
    if isinstance(prediction, Exception):
        return prediction
    try:
        return service.encode(prediction, request.accept)
    except Exception as error:  # a refusal or a defect: Flask's error handlers tell them apart
        return error


def _finish(request: PendingRequest, result: Answer | Exception, service: Service) -> None:
    invocation = request.invocation
    if isinstance(result, Exception):
        invocation.status, invocation.error = status_of(result), str(result)
    else:
        invocation.status, invocation.instances = result.status, service.handler.count(request.data)
    service.record(invocation)  # before the reply: a caller who has the answer finds it counted
    request.reply(result)
