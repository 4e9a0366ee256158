"""Answer several invocations at once: decode each, predict all together, encode each.

There is no timer in it by default: while one batch is predicted the next requests arrive, so batches
grow with the load, and a lone request waits for nobody.
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
class Call:
    """A request that has arrived whole, and what has become of it so far."""

    head: Head
    body: bytes
    invocation: Invocation
    reply: Callable[[Answer | Exception], None]
    accept: str = ""
    data: Any = None


@dataclass(slots=True)
class _Batch:
    """Calls whose data can be joined: of one type, and of one shape but for the first axis."""

    calls: list[Call] = field(default_factory=list)
    instances: int = 0


def answer(calls: Sequence[Call], service: Service) -> None:
    """Give every call its answer, or what refuses it, by `call.reply`. Raises nothing of the service's."""
    decoded = [call for call in calls if _decode(call, service)]
    for batch in batches(decoded, service.limits.batch_instances):
        for call, prediction in _predict(batch, service):
            _finish(call, _encode(call, prediction, service), service)


def batches(calls: Sequence[Call], most: int) -> Iterator[list[Call]]:
    """Part calls into batches of up to `most` instances; those of one kind stay in their order."""
    open_batches: dict[Any, _Batch] = {}
    for call in calls:
        kind = (call.data.dtype, call.data.shape[1:])
        batch = open_batches.setdefault(kind, _Batch())
        if batch.calls and batch.instances + len(call.data) > most:
            yield batch.calls
            batch = open_batches[kind] = _Batch()
        batch.calls.append(call)
        batch.instances += len(call.data)
    for batch in open_batches.values():
        yield batch.calls


def _decode(call: Call, service: Service) -> bool:
    """Whether it could be decoded; if not, it has been refused."""
    call.invocation.lap()
    try:
        call.accept = service.negotiate(call.head.accept)
        call.data = service.decode(call.body, call.head.content_type)
    except Exception as error:  # a refusal, or a defect: Flask's handlers know
        _finish(call, error, service)
        return False
    call.invocation.lap()
    return True


def _predict(calls: list[Call], service: Service) -> Iterator[tuple[Call, NDArray[Any] | Exception]]:
    """Each call with its share of the prediction, or with what was raised for it, and for it alone."""
    data = calls[0].data if len(calls) == 1 else np.concatenate([call.data for call in calls])
    try:
        predictions = service.predict(data)
    except Exception as error:  # whatever the engine raises belongs to one of them
        if len(calls) == 1:
            calls[0].invocation.lap()
            yield calls[0], error
            return
        for call in calls:
            yield from _predict([call], service)
        return
    for call in calls:
        call.invocation.lap()
        call.invocation.batch = len(calls)
    if len(calls) == 1:
        yield calls[0], predictions
        return
    end = 0
    for call in calls:
        begin, end = end, end + len(call.data)
        yield call, predictions[begin:end]


def _encode(call: Call, prediction: NDArray[Any] | Exception, service: Service) -> Answer | Exception:
    if isinstance(prediction, Exception):
        return prediction
    try:
        return service.encode(prediction, call.accept)
    except Exception as error:  # a refusal, or a defect: Flask's handlers know
        return error


def _finish(call: Call, result: Answer | Exception, service: Service) -> None:
    invocation = call.invocation
    if isinstance(result, Exception):
        invocation.status, invocation.error = status_of(result), str(result)
    else:
        invocation.status, invocation.instances = result.status, service.handler.count(call.data)
    service.record(invocation)  # first: whoever has the answer finds it counted
    call.reply(result)
