"""Serve a user's inference.py as AWS's PyTorch container does: on one thread, one request at a time."""

import pickle
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from werkzeug.exceptions import HTTPException

from serving.engines import Engine
from serving.engines.agreement import WrongAnswers
from serving.engines.engine_model import EngineModel
from serving.handlers import (
    handler_functions,
    media,
    response_headers,
    toolkit_defaults,
    toolkit_input,
    toolkit_refusal,
    user_program,
)  # fmt: skip
from serving.handlers.context import Call, Context
from serving.handlers.errors import BadRequest, CannotLoad, HandlerFailed
from serving.handlers.handler import Answer
from serving.handlers.joining import Batching, Joining
from serving.handlers.program_answer import body_and_type, chunks, concrete, to_bytes
from serving.handlers.program_errors import describe, ending_its_children, failure
from serving.handlers.toolkit_device import device
from serving.handlers.user_program import Program
from serving.platform import limits

UNPICKLE_VARIABLE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # PyTorch's own switch
ACCEPT_VARIABLE = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
_TEXT = (media.JSON, media.CSV)  # input_fn gets these as str, everything else as bytes


@dataclass(frozen=True)
class Body:
    """A request's body for transform_fn."""

    content: str | bytes
    content_type: str


class UserHandler:
    """The user's handler functions, the toolkit's defaults for those that are missing, and the model.

    Each worker loads the model after the fork: a model_fn may start threads or use a GPU. With an `engine`
    for the exported model, model_fn is not called, and the engine takes the model's place. `joining` is None
    until `batch_check` has found that the program answers the same in batches.
    """

    wants_main_thread = True
    joining: Joining | None = None
    batching: Batching | None = None

    def __init__(
        self,
        program: Program | None,
        model_dir: Path,
        environ: Mapping[str, str],
        engine: Engine | None = None,
        check_engine: Callable[[Engine], None] = lambda _engine: None,
    ) -> None:
        self.lock = threading.Lock()  # where no worker runs it on its main thread
        self._program = program
        self._model_dir = model_dir
        self._default_accept = environ.get(ACCEPT_VARIABLE) or media.JSON
        self._context = Context(model_dir, device().type)
        self._input_fn = toolkit_input.input_fn_of(limits.from_environ(environ).payload_bytes)
        self._functions: dict[str, Callable[..., Any]] = {}
        self._contextual: set[str] = set()  # the functions that take a context
        self._loading = threading.Lock()
        self._engine, self._check_engine = engine, check_engine
        self.model: Any = None
        self.is_ready = False

    def warm_up(self) -> None:
        """Import the program and load the model, once. Raises CannotLoad from the user's exception."""
        with self._loading:
            if self.is_ready:
                return
            name = self._program.file.name if self._program else "the default model_fn"
            try:
                with ending_its_children():
                    module = self._import()
                self._functions = self._bind_context(handler_functions.collect(module, self._input_fn))
                self.model = self._load()
            except (CannotLoad, WrongAnswers):
                raise
            except pickle.UnpicklingError as error:
                raise CannotLoad(
                    f"{name}: a file holds pickled objects, not tensors alone ({describe(error).partition('.')[0]}); "
                    f"save a state_dict, or set {UNPICKLE_VARIABLE}=1 for an archive that you trust"
                ) from error
            except BaseException as error:  # a user's code may raise anything, sys.exit and Ctrl-C's as well
                raise CannotLoad(f"{name}: {describe(error)}") from error
            self.is_ready = True

    def refusal_to_join(self) -> str | None:
        """Return why the functions cannot be called for several requests at once, or None."""
        if "transform_fn" in self._functions:
            return "transform_fn decodes and encodes as well"
        if self._contextual & {"predict_fn"}:
            return "predict_fn takes a context, which is of one request"
        return None

    def begin(self, call: Call) -> None:
        self._context.call = call

    def negotiate(self, accept: str) -> str:
        """Return the header unchanged for a user's own output_fn, else the best of the supported types."""
        if not self.is_ready:
            self.warm_up()
        if (
            "transform_fn" not in self._functions
            and self._functions["output_fn"] is toolkit_defaults.output_fn
        ):
            return media.negotiate(accept, preferred=self._default_accept)
        return self._default_accept if accept in ("", "*/*") else accept

    def decode(self, body: bytes, content_type: str) -> Any:
        content_type = content_type or media.JSON
        content: str | bytes = body
        if media.essence(content_type) in _TEXT:
            try:
                content = body.decode("utf-8-sig")  # without the byte order mark that some programs write
            except UnicodeDecodeError as error:
                raise BadRequest(
                    f"body: expected UTF-8, got the byte 0x{body[error.start]:02x} at {error.start}"
                ) from None
        if "transform_fn" in self._functions:
            return Body(content, content_type)
        return self._call("input_fn", content, content_type)

    def predict(self, data: Any) -> Any:
        if "transform_fn" in self._functions:
            return data
        try:
            return self._call("predict_fn", data, self.model)
        except HandlerFailed as failed:
            if self._functions["predict_fn"] is toolkit_defaults.predict_fn:
                toolkit_refusal.blame_input(failed, data)
            raise

    def encode(self, prediction: Any, accept: str) -> Answer:
        if "transform_fn" in self._functions:
            body: Body = prediction
            result = self._call("transform_fn", self.model, body.content, body.content_type, accept)
        else:
            result = self._call("output_fn", prediction, accept)
        content_type = concrete(accept) or self._default_accept
        if isinstance(result, tuple):
            result, content_type = body_and_type(result)
        call = self._context.call
        return Answer(
            chunks(result) if isinstance(result, Iterator) else to_bytes(result),
            response_headers.checked_value("Content-Type", call.content_type or content_type),
            response_headers.checked_status(call.status),
            response_headers.checked(call.response_headers),
        )

    def count(self, data: Any) -> int:  # noqa: ARG002
        """Return 1 for a request: what a user's input_fn returns need not have a length."""
        return 1

    def openapi(self) -> None:
        """Return None: only the user's program knows its formats."""

    def _import(self) -> ModuleType:
        return user_program.load(self._program, self._model_dir) if self._program else ModuleType("nothing")

    def _load(self) -> Any:
        directory = str(self._model_dir)
        if "pre_model_fn" in self._functions:
            self._run("pre_model_fn", directory)
        model = EngineModel(self._engine) if self._engine else self._run("model_fn", directory)
        if self._engine:
            self._check_engine(self._engine)
        if "model_warmup_fn" in self._functions:
            self._run("model_warmup_fn", directory, model)
        return model

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function for a request. Raises HandlerFailed from any exception but a refusal."""
        try:
            return self._run(name, *arguments)
        except (BadRequest, HTTPException):
            raise
        except BaseException as error:  # a user's code may raise anything, sys.exit and Ctrl-C's as well
            raise failure(error) from error

    def _run(self, name: str, *arguments: Any) -> Any:
        with ending_its_children():
            return self._functions[name](*arguments)

    def _bind_context(self, functions: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
        """Wrap the functions that take a context. Raises CannotLoad for functions that cannot be called."""
        if functions.get("output_fn") is toolkit_defaults.output_fn and self._default_accept not in media.ALL:
            raise CannotLoad(
                f"{ACCEPT_VARIABLE}: without an output_fn, expected one of {', '.join(media.ALL)}, "
                f"got {self._default_accept}"
            )
        return {name: self._with_context(name, function) for name, function in functions.items()}

    def _with_context(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        if not handler_functions.takes_context(name, function):
            return function
        self._contextual.add(name)
        return lambda *arguments: function(*arguments, self._context)
