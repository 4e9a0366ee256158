"""The base class of handler classes: it decodes and encodes, and leaves the model to them."""

from typing import Any

from . import decoder, encoder, errors, utils


class DefaultInferenceHandler:
    """Defaults for input and output; `default_model_fn` and `default_predict_fn` are for subclasses."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """Raise NotImplementedError: only the program knows its model."""
        raise NotImplementedError(f"write a model_fn(model_dir) that loads the model in {model_dir}")

    def default_input_fn(self, input_data: str | bytes, content_type: str, context: Any = None) -> Any:  # noqa: ARG002
        """Call `decoder.decode`."""
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """Raise NotImplementedError: only the program knows how to call its model."""
        raise NotImplementedError(f"write a predict_fn(data, model) that calls {type(model).__name__}")

    def default_output_fn(
        self,
        prediction: Any,
        accept: str,
        context: Any = None,  # noqa: ARG002
    ) -> tuple[str | bytes, str]:
        """Return the body and its type: the first of `accept` that `encoder` supports.

        Raises UnsupportedFormatError when it supports none of them.
        """
        for content_type in utils.parse_accept(accept):
            if content_type in encoder.SUPPORTED_CONTENT_TYPES:
                return encoder.encode(prediction, content_type), content_type
        raise errors.UnsupportedFormatError(accept)
