"""The class that handler classes derive from: decoding and encoding by default, a model by their own."""

from typing import Any

from . import decoder, encoder, errors, utils


class DefaultInferenceHandler:
    """Defaults for input and output; `default_model_fn` and `default_predict_fn` are for subclasses."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """Raises NotImplementedError: nobody but the program knows its model."""
        raise NotImplementedError(f"write a model_fn(model_dir) that loads the model in {model_dir}")

    def default_input_fn(self, input_data: str | bytes, content_type: str, context: Any = None) -> Any:  # noqa: ARG002
        """`decoder.decode`."""
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """Raises NotImplementedError: nobody but the program knows how its model is called."""
        raise NotImplementedError(f"write a predict_fn(data, model) that calls {type(model).__name__}")

    def default_output_fn(
        self,
        prediction: Any,
        accept: str,
        context: Any = None,  # noqa: ARG002
    ) -> tuple[str | bytes, str]:
        """The body, and its type: the first of `accept` that `encoder` knows.

        Raises UnsupportedFormatError when it knows none of them.
        """
        for content_type in utils.parse_accept(accept):
            if content_type in encoder.SUPPORTED_CONTENT_TYPES:
                return encoder.encode(prediction, content_type), content_type
        raise errors.UnsupportedFormatError(accept)
