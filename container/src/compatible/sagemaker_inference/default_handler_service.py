"""The class by which TorchServe would call a transformer, for programs that build on it."""

from typing import Any

from .transformer import Transformer


class DefaultHandlerService:
    """A transformer behind TorchServe's two methods."""

    def __init__(self, transformer: Any = None) -> None:
        self._service = transformer or Transformer()

    def initialize(self, context: Any) -> None:
        """Load the model."""
        self._service.validate_and_initialize(context.system_properties.get("model_dir"), context)

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[Any]:
        """Answer requests."""
        answers: list[Any] = self._service.transform(data, context)
        return answers
