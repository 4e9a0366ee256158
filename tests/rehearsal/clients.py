"""Clients that send requests while an endpoint changes, and record every answer."""

import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

import golden

THREADS = 4  # enough to reach a canary of one instance among three while it bakes


class Clients:
    """Four threads that send one golden request after another until the block ends."""

    def __init__(self, runtime: Any, endpoint: str, golden_set: golden.GoldenSet) -> None:
        self._runtime, self._endpoint, self._cases = runtime, endpoint, golden_set.answered
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]
        self.answers: list[str] = []  # the release that answered, or the error code and status

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def counted(self) -> Counter[str]:
        with self._changed:
            return Counter(self.answers)

    def wait_for(self, condition: Callable[[list[str]], bool], seconds: float = 60.0) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: condition(self.answers), seconds)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            answer = self._post(self._cases[number % len(self._cases)].request)
            number += 1
            with self._changed:
                self.answers.append(answer)
                self._changed.notify_all()

    def _post(self, request: golden.Request) -> str:
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint, ContentType=request.content_type, Body=request.body
            )
        except ClientError as error:
            status = error.response.get("OriginalStatusCode")
            return f"{error.response['Error']['Code']} {status}"
        answer["Body"].read()
        identity: dict[str, str] = dict(pair.split("=", 1) for pair in answer["CustomAttributes"].split(";"))
        return identity["release"]
