"""Ask a worker's own routes before others may: Python and PyTorch are slow the first time they run anything.

The golden cases take the steps alone (`golden_check`); these requests take the whole of Flask, or of the batch
server, and are neither counted nor logged.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Flask

from golden import Case
from serving.handlers import media
from serving.http.http_messages import REQUEST_LINE
from serving.http.service import SERVICE, Service

ROUTES = ("/ping", "/metrics", "/openapi.json", "/no-such-route")
_ROUNDS = 3  # TorchScript optimises in its second and third run
_MOST_CASES = 8
_MOST_BYTES = 65536  # of a body
_SECONDS = 2.0  # in all: a slow model has other worries than its first request


@dataclass(frozen=True)
class WarmUpRequest:
    """An invocation: a golden case's body, and a type for the answer."""

    body: bytes
    content_type: str
    accept: str

    def as_http(self) -> bytes:
        """Return the request as nginx sends it."""
        fields = {"Content-Type": self.content_type, "Accept": self.accept}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
        head = f"{REQUEST_LINE}\r\nHost: warm-up\r\nContent-Length: {len(self.body)}\r\n{lines}\r\n"
        return head.encode("latin-1") + self.body


def ask_routes(app: Flask) -> None:
    """Ask every route of the application, and its invocations by golden cases."""
    service: Service = app.extensions[SERVICE]
    with service.unrecorded():
        client = app.test_client()
        for route in ROUTES:
            client.get(route)
        for one in requests(service):
            headers = {"Content-Type": one.content_type, "Accept": one.accept}
            client.post("/invocations", data=one.body, headers=headers).close()


def requests(service: Service) -> Iterator[WarmUpRequest]:
    """Yield one golden case of each pair of types, for answers of every type, in rounds, for a limited time."""
    kinds: dict[tuple[str, str], Case] = {}
    for case in service.golden_cases or ():
        if case.is_answered and len(case.request.body) <= _MOST_BYTES:
            kinds.setdefault((case.request.content_type, case.request.accept), case)
    cases = list(itertools.islice(kinds.values(), _MOST_CASES))
    deadline = time.monotonic() + _SECONDS
    for case in itertools.chain.from_iterable([cases] * _ROUNDS):
        more = media.ALL if service.handler.openapi() else ()  # a program knows its types alone
        for accept in (case.request.accept, *more):
            if time.monotonic() > deadline:
                return
            yield WarmUpRequest(case.request.body, case.request.content_type, accept)
