"""Handler functions of a picture's class, as AWS's PyTorch container serves them.

A PNG or JPEG as application/x-image, image/png or image/jpeg; answers {"class": …, "scores": {…}} as JSON.
"""

import io
import json
from pathlib import Path

import numpy as np
import torch
from network import CLASSES, SIDE, make_network
from PIL import Image, UnidentifiedImageError
from safetensors.torch import load_file
from sagemaker_inference import errors
from torch import Tensor, nn

TYPES = ("application/x-image", "image/png", "image/jpeg")


def model_fn(model_dir: str) -> nn.Module:
    """Load the weights."""
    model = make_network()
    model.load_state_dict(load_file(Path(model_dir) / "model.safetensors"))
    return model.eval()


def input_fn(request_body: bytes, content_type: str) -> Tensor:
    """Turn a picture into float32 (1, 3, 32, 32), from 0 to 1."""
    if content_type not in TYPES:
        raise errors.GenericInferenceToolkitError(
            415, f"expected one of {', '.join(TYPES)}, got {content_type}"
        )
    try:
        picture = Image.open(io.BytesIO(request_body)).convert("RGB").resize((SIDE, SIDE))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise errors.GenericInferenceToolkitError(400, f"expected a PNG or JPEG: {error}") from None
    pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255)
    return pixels.permute(2, 0, 1).unsqueeze(0)


def predict_fn(data: Tensor, model: nn.Module) -> Tensor:
    """Return the probabilities of the classes, float32 (1, 3)."""
    with torch.inference_mode():
        probabilities: Tensor = model(data).softmax(1)
        return probabilities


def output_fn(prediction: Tensor, accept: str) -> tuple[str, str]:
    """Name the class, and give the probability of each."""
    if accept not in ("application/json", "*/*"):
        raise errors.GenericInferenceToolkitError(406, f"expected JSON to be accepted, got {accept}")
    scores = dict(zip(CLASSES, prediction[0].tolist(), strict=True))
    return json.dumps(
        {"class": max(scores, key=lambda name: scores[name]), "scores": scores}
    ), "application/json"
