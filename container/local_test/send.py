"""Send a payload and print the answer, for predict.sh: send.py URL PAYLOAD [CONTENT_TYPE [ACCEPT]]."""

import mimetypes
import sys
import urllib.error
import urllib.request
from pathlib import Path, PurePath

TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
}
TIMEOUT_SECONDS = 500  # a stream may take eight minutes


def content_type(payload: str) -> str:
    """Return the media type for the file's name, or that of bytes."""
    suffix = PurePath(payload).suffix.lower()
    return TYPES.get(suffix) or mimetypes.guess_type(payload)[0] or "application/octet-stream"


def read(payload: str) -> bytes:
    """Read the file, or standard input for -."""
    if payload == "-":
        return sys.stdin.buffer.read()
    return Path(payload).read_bytes()


def main(url: str, payload: str, kind: str = "", accept: str = "*/*") -> int:
    """Send the payload; return the exit code."""
    try:
        body = read(payload)
    except OSError as error:
        print(f"{payload}: {error.strerror}", file=sys.stderr)
        return 1
    headers = {"Content-Type": kind or content_type(payload), "Accept": accept}
    request = urllib.request.Request(url, body, headers)  # noqa: S310  # predict.sh names the address
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            while part := answer.read1():  # print a stream as it comes
                sys.stdout.buffer.write(part)
                sys.stdout.buffer.flush()
            is_text = answer.headers.get_content_type() in ("application/json", "text/csv", "text/plain")
    except urllib.error.HTTPError as refusal:
        print(f"HTTP {refusal.code}: {refusal.read().decode(errors='replace')}", file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"{url}: {error.reason}; is serve_local.sh running?", file=sys.stderr)
        return 1
    if is_text:
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
