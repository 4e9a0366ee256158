"""The service for multi-model-server: AWS's inference toolkit with the inference.py of the model's code folder."""

from typing import Any

import torch
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.transformer import Transformer

torch.set_num_threads(1)


class HandlerService(DefaultHandlerService):  # type: ignore[misc]
    """The toolkit's service, with a flag for its initialisation."""

    def __init__(self) -> None:
        super().__init__(transformer=Transformer())
        self.initialized = False

    def initialize(self, context: Any) -> None:
        super().initialize(context)
        self.initialized = True


_service = HandlerService()


def handle(data: Any, context: Any) -> Any:
    """Handle a request; without data, only initialise."""
    if not _service.initialized:
        _service.initialize(context)
    return None if data is None else _service.handle(data, context)
