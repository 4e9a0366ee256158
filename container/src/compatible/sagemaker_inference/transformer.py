"""The toolkit's class that runs handler functions: for programs that build on it, or call it themselves."""

import importlib
import importlib.util
import inspect
import traceback
from collections.abc import Callable
from typing import Any

from . import content_types, environment, utils
from .default_inference_handler import DefaultInferenceHandler
from .errors import BaseInferenceToolkitError, GenericInferenceToolkitError

_STEPS = ("input_fn", "predict_fn", "output_fn")
_OPTIONAL = ("pre_model_fn", "model_warmup_fn")


class Transformer:
    """The functions of the user's module, with a handler object's defaults for those that it lacks."""

    def __init__(self, default_inference_handler: Any = None) -> None:
        self._default_inference_handler = default_inference_handler or DefaultInferenceHandler()
        self._environment: environment.Environment | None = None
        self._functions: dict[str, Callable[..., Any]] = {}
        self._context: Any = None
        self._model: Any = None
        self._initialized = False

    def validate_and_initialize(self, model_dir: str = environment.model_dir, context: Any = None) -> None:
        """Find the functions and load the model, once. Raises ValueError for functions that exclude each other."""
        if self._initialized:
            return
        self._context, self._environment = context, environment.Environment()
        self._functions = self._collect(self._environment.module_name)
        if "pre_model_fn" in self._functions:
            self._run("pre_model_fn", model_dir)
        self._model = self._run("model_fn", model_dir)
        if "model_warmup_fn" in self._functions:
            self._run("model_warmup_fn", model_dir, self._model)
        self._initialized = True

    def transform(self, data: list[dict[str, Any]], context: Any) -> list[Any]:
        """Answer TorchServe's list of requests; after an error set the status, and return its message and traceback."""
        try:
            self.validate_and_initialize(context.system_properties.get("model_dir"), context)
            return [self._answer(one.get("body"), context) for one in data]
        except BaseInferenceToolkitError as error:
            return self.handle_error(context, error, traceback.format_exc())
        except Exception as error:
            return self.handle_error(
                context, GenericInferenceToolkitError(500, str(error)), traceback.format_exc()
            )

    @staticmethod
    def handle_error(context: Any, inference_exception: BaseInferenceToolkitError, trace: str) -> list[str]:
        """Set the error's status, and return its message and traceback."""
        phrase = utils.remove_crlf(inference_exception.phrase)
        context.set_response_status(code=inference_exception.status_code, phrase=phrase)
        return [f"{inference_exception.message}\n{trace}"]

    def _answer(self, body: Any, context: Any) -> Any:
        assert self._environment is not None
        headers = context.request_processor[0].get_request_properties()
        content_type = utils.retrieve_content_type_header(headers)
        accept = headers.get("Accept") or headers.get("accept")
        if accept in (None, "", content_types.ANY):
            accept = self._environment.default_accept
        if content_type in content_types.UTF8_TYPES:
            body = body.decode("utf-8")
        result = self._run("transform_fn", self._model, body, content_type, accept)
        answered_type = accept
        if isinstance(result, tuple):
            result, answered_type = result[0], result[1]
        context.set_response_content_type(0, answered_type)
        return result

    def _collect(self, module_name: str) -> dict[str, Callable[..., Any]]:
        found = importlib.util.find_spec(module_name)
        module = importlib.import_module(module_name) if found else None
        theirs = {
            name: function
            for name in ("model_fn", "transform_fn", *_STEPS, *_OPTIONAL)
            if (function := getattr(module, name, None)) is not None
        }
        if "transform_fn" in theirs and any(name in theirs for name in _STEPS):
            raise ValueError(
                "transform_fn excludes input_fn, predict_fn and output_fn: define one or the others"
            )
        defaults = {
            name: function
            for name in ("model_fn", *_STEPS, *_OPTIONAL)
            if (function := getattr(self._default_inference_handler, f"default_{name}", None)) is not None
        }
        return {"transform_fn": self._default_transform_fn, **defaults, **theirs}

    def _default_transform_fn(
        self, model: Any, input_data: Any, content_type: str, accept: str, context: Any = None  # noqa: ARG002
    ) -> Any:  # fmt: skip
        """Call input_fn, predict_fn and output_fn, one after another."""
        data = self._run("input_fn", input_data, content_type)
        return self._run("output_fn", self._run("predict_fn", data, model), accept)

    def _run(self, name: str, *arguments: Any) -> Any:
        """Call a function, with the context if it takes one argument more. Raises TypeError for other numbers."""
        function = self._functions[name]
        taken = len(inspect.signature(function).parameters)
        if taken == len(arguments) + 1:
            return function(*arguments, self._context)
        if taken != len(arguments):
            raise TypeError(f"{name} takes {taken} arguments, and is given {len(arguments)}")
        return function(*arguments)
