"""moto, served by werkzeug on a loopback port inside this process, and strict where moto is not."""

import logging
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from local_aws.error_encoding import EncodedError, encode_error
from local_aws.errors import AwsError
from local_aws.places import CURRENT, place_of

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

log = logging.getLogger(__name__)


class StrictMoto:
    """moto's WSGI application; an unimplemented operation is a JSON or XML error, never an HTML page.

    The status of such an error is 400: boto3 retries 500s, and a missing feature does not come back.
    """

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(self._create)
        self.before_first_use: Mapping[str, Callable[[], None]] = {}
        """Functions to call before the first request of a service ("cloudformation")."""

    def _create(self, service: Any) -> Any:
        if service in self.before_first_use:
            self.before_first_use[service]()
        return create_backend_app(service)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (WSGI), in the account and Region of its signature."""
        place = place_of({k.lower(): v for k, v in _headers(environ).items()}, _query(environ))
        CURRENT.set(place)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = place.account
        seen: list[tuple[Any, ...]] = []

        def remember(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            seen[:] = [(status, headers, exc_info)]

        try:
            body: Iterable[bytes] = self._moto(environ, remember)
        except NotImplementedError as error:
            return _send(_refusal(environ, str(error)), start_response)
        except AwsError as error:  # of what we have put behind moto
            refused = encode_error(_headers(environ), error.code, error.message, error.status)
            return _send(refused, start_response)
        except Exception as error:
            log.exception("moto failed at %s %s", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = f"moto raised {type(error).__name__}: {error} ({last.name})"
            return _send(encode_error(_headers(environ), "InternalFailure", text, 500), start_response)
        status, headers, exc_info = seen[0]
        if int(status.split()[0]) >= 400 and _says_html(headers):  # as moto says of S3's empty 404s, too
            body = [b"".join(body)]
            if _is_page(body[0]):
                return _send(_refusal(environ, f"moto answers {status}"), start_response)
        start_response(status, headers, exc_info)
        return body


class MotoHost:
    """moto in a thread of this process; `url` is its loopback address."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = StrictMoto()
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1", 0, self._app, threaded=True, request_handler=MotoRequestHandler
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="moto", daemon=True)

    def start(self, before_first_use: Mapping[str, Callable[[], None]]) -> None:
        """Begin to serve; call a function of `before_first_use` before a service's first request."""
        self._app.before_first_use = before_first_use
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; blocks until the thread has ended."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _headers(environ: Environ) -> dict[str, str]:
    names = {
        key[5:].replace("_", "-"): str(value) for key, value in environ.items() if key.startswith("HTTP_")
    }
    return names | {"Content-Type": str(environ.get("CONTENT_TYPE", ""))}


def _query(environ: Environ) -> dict[str, str]:
    return dict(parse_qsl(str(environ.get("QUERY_STRING", ""))))


def _refusal(environ: Environ, why: str) -> EncodedError:
    headers = _headers(environ)
    what = headers.get("X-AMZ-TARGET") or f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"
    message = f"{what} is not imitated by this local AWS: {why}"
    return encode_error(headers, "NotImplementedByLocalAws", message)


def _is_page(body: bytes) -> bool:
    return body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))


def _says_html(headers: list[tuple[str, str]]) -> bool:
    return any(name.lower() == "content-type" and "text/html" in value for name, value in headers)


def _send(error: EncodedError, start_response: StartResponse) -> Iterable[bytes]:
    headers = {**error.headers, "Content-Length": str(len(error.body))}
    start_response(
        f"{error.status} {'Bad Request' if error.status == 400 else 'Error'}", list(headers.items())
    )
    return [error.body]
