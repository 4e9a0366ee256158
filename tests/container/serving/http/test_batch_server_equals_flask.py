"""The batch server answers as Flask does: the same requests with nginx before it, and to Flask alone."""

import gzip
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from tests.container import malformed
from tests.container.conftest import path_of
from tests.container.serve_process import COMMITTED, IMAGES, JSON, Answer, Serve, until

pytestmark = pytest.mark.starts_processes

PAYLOADS = Path(COMMITTED).parents[1] / "payloads"
MEGABYTE = 1024 * 1024
# What belongs to a front, and not to the answer.
OF_THE_FRONT = {"Date", "Server", "Connection", "Transfer-Encoding"}


def npy(array: object) -> bytes:
    file = BytesIO()
    np.save(file, np.asarray(array))
    return file.getvalue()


def npz(**arrays: object) -> bytes:
    file = BytesIO()
    np.savez(file, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    return file.getvalue()


def request(instances: object) -> bytes:
    return json.dumps({"instances": instances}).encode()


GOOD = {
    "one digit": (request(IMAGES[:1]), "application/json"),
    "all golden digits": (request(IMAGES), "application/json"),
    "numbers with points": (request([[float(pixel) for pixel in IMAGES[0]]]), "application/json"),
    "blanks round it": (b" \n" + request(IMAGES[:2]) + b"\t ", "application/json"),
    "minus nothing": (request([[-0.0, *IMAGES[0][1:]]]), "application/json"),
    "an exponent": (request(IMAGES[:1]).replace(b"0", b"1e-3", 1), "application/json"),
    "an escaped key": (request(IMAGES[:1]).replace(b"instances", b"\\u0069nstances"), "application/json"),
    "a charset": (request(IMAGES[:1]), "application/json; charset=utf-8"),
    "no type": (request(IMAGES[:1]), ""),
    "a type in capitals": (request(IMAGES[:1]), "Application/JSON"),
    "lines": (b"\n".join(json.dumps(digit).encode() for digit in IMAGES[:3]), "application/jsonlines"),
    "csv": (b"\n".join(",".join(map(str, digit)).encode() for digit in IMAGES[:3]), "text/csv"),
    "npy": (npy(np.array(IMAGES[:3], dtype=np.uint8)), "application/x-npy"),
    "npz": (npz(instances=IMAGES[:3]), "application/x-npz"),
    "a byte order mark": (b"\xef\xbb\xbf" + request(IMAGES[:1]), "application/json"),
    "large": (request(IMAGES[:1]).ljust(MEGABYTE), "application/json"),
}
BAD = {
    **{
        f"payload {file.stem}": (file.read_bytes(), "application/json")
        for file in PAYLOADS.glob("bad-*.json")
    },
    **{name: (body, "application/json") for name, body in malformed.BODIES.items()},
    "a type nobody knows": (request(IMAGES[:1]), "image/png"),
    "a type of nonsense": (request(IMAGES[:1]), "ü" * 100),
    "JSON said to be npy": (request(IMAGES[:1]), "application/x-npy"),
    "npy of another shape": (npy([[1, 2]]), "application/x-npy"),
    "npz of another name": (npz(images=IMAGES), "application/x-npz"),
    "a word in csv": (b"1,x", "text/csv"),
    "a broken line": (b"[1]\n[", "application/jsonlines"),
}
ACCEPTS = [
    "application/json", "application/jsonlines", "text/csv", "application/x-npy", "application/x-npz", "*/*", "",
    "text/csv;q=0.5, application/json;q=0.4", "application/*", "image/png", "text/html, */*;q=0.1", ";;,",
]  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serve, Serve]]:
    """Start the batch server behind nginx, and Flask alone, with one identity, release and limit."""
    empty = tmp_path_factory.mktemp("no-nginx")
    environment = {
        "SERVE_INSTANCE_ID": "0123456789ab",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "LOG_SAMPLE": "1",
    }
    servers = [Serve(environment, path=path_of(front, empty)) for front in ("nginx", "gunicorn")]
    for server in servers:
        server.await_ready()
    yield servers[0], servers[1]
    for server in servers:
        server.end()


def same(pair: tuple[Serve, Serve], method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Ask both, and return the answer, which must be the same."""
    batched, by_flask = (server.ask(method, path, body, headers) for server in pair)

    assert essentials(batched) == essentials(by_flask)
    return batched


def essentials(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name not in OF_THE_FRONT}
    return answer.status, headers, answer.body


@pytest.mark.parametrize("name", GOOD)
def test_a_good_request_is_answered_alike(pair: tuple[Serve, Serve], name: str) -> None:
    body, content_type = GOOD[name]
    headers = {"Content-Type": content_type} if content_type else {}

    assert same(pair, "POST", "/invocations", body, headers).status == 200


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_refused_alike(pair: tuple[Serve, Serve], name: str) -> None:
    body, content_type = BAD[name]
    headers = {"Content-Type": content_type.encode("latin-1").decode("latin-1")}

    assert 400 <= same(pair, "POST", "/invocations", body, headers).status < 500


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        (gzip.compress(request(IMAGES[:1])), "gzip", 200),
        (gzip.compress(request(IMAGES[:1]).ljust(MEGABYTE + 1)), "gzip", 413),
        (request(IMAGES[:1]), "gzip", 400),
        (request(IMAGES[:1]), "sdch", 415),
    ],
)
def test_a_compressed_body_is_unpacked_or_refused_alike(
    pair: tuple[Serve, Serve], body: bytes, coding: str, status: int
) -> None:
    headers = {**JSON, "Content-Encoding": coding}

    assert same(pair, "POST", "/invocations", body, headers).status == status


@pytest.mark.parametrize("accept", ACCEPTS)
def test_accept_is_honoured_or_refused_alike(pair: tuple[Serve, Serve], accept: str) -> None:
    answer = same(pair, "POST", "/invocations", request(IMAGES[:3]), {**JSON, "Accept": accept})

    assert answer.status in (200, 406)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/invocations", b""),
        ("PUT", "/invocations", request(IMAGES[:1])),
        ("POST", "/invocations?x=1", request(IMAGES[:1])),
        ("POST", "/invocations/", request(IMAGES[:1])),
        ("POST", "/ping", b""),
        ("GET", "/ping", b""),
        ("GET", "/nowhere", b""),
        ("GET", "/openapi.json", b""),
        ("POST", "/invocations", b" " * (MEGABYTE + 1)),
    ],
)
def test_every_other_route_is_the_same(
    pair: tuple[Serve, Serve], method: str, path: str, body: bytes
) -> None:
    same(pair, method, path, body, JSON)


def test_it_was_the_batch_server_that_answered(pair: tuple[Serve, Serve]) -> None:
    """Else all of the above would compare Flask with Flask."""
    for server, name in zip(pair, ("batch", "flask"), strict=True):
        server.ask(
            "POST", "/invocations", request(IMAGES[:1]), {**JSON, "X-Amzn-SageMaker-Inference-Id": "me"}
        )
        server.ask("POST", "/invocations", b"{", {**JSON, "X-Amzn-SageMaker-Inference-Id": "me"})

        assert until(lambda server=server: len(mine(server)) >= 2)  # type: ignore[misc]
        assert {line["server"] for line in mine(server)} == {name}


def mine(server: Serve) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("inference_id") == "me"]
