"""Handler functions of a text encoder, as AWS's PyTorch container serves them.

{"inputs": ["a text", …]} or {"inputs": "a text"} as JSON, or one text as text/plain; answers
{"embeddings": [[384 numbers], …]} as JSON, or float32 (N, 384) as application/x-npy.
"""

import json
from pathlib import Path

import torch
from encoder import Encoder, tokens
from safetensors.torch import load_file
from sagemaker_inference import content_types, errors
from sagemaker_inference import encoder as encoding
from torch import Tensor

MOST_TEXTS = 256


def model_fn(model_dir: str) -> Encoder:
    """Load the weights."""
    model = Encoder()
    model.load_state_dict(load_file(Path(model_dir) / "model.safetensors"))
    return model.eval()


def input_fn(request_body: str | bytes, content_type: str) -> Tensor:
    """Turn texts into tokens, int64 (N, 128)."""
    if content_type.startswith("text/plain"):
        return tokens([_decoded(request_body)])
    if not content_type.startswith(content_types.JSON):
        raise errors.GenericInferenceToolkitError(415, f"expected JSON or text/plain, got {content_type}")
    try:
        inputs = json.loads(request_body)["inputs"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise errors.GenericInferenceToolkitError(400, 'expected {"inputs": ["a text", …]}') from None
    texts = [inputs] if isinstance(inputs, str) else inputs
    if not (isinstance(texts, list) and all(isinstance(text, str) and text for text in texts)):
        raise errors.GenericInferenceToolkitError(400, "inputs: expected texts, none of them empty")
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise errors.GenericInferenceToolkitError(
            400, f"inputs: expected 1 to {MOST_TEXTS}, got {len(texts)}"
        )
    return tokens([_encodable(text) for text in texts])


def predict_fn(data: Tensor, model: Encoder) -> Tensor:
    """Return a vector for each text, float32 (N, 384)."""
    with torch.inference_mode():
        vectors: Tensor = model(data)
        return vectors


def output_fn(prediction: Tensor, accept: str) -> tuple[str | bytes, str]:
    """Encode the vectors as JSON or .npy."""
    vectors = prediction.float().numpy()
    if accept == content_types.NPY:
        return encoding.encode(vectors, content_types.NPY), content_types.NPY
    if accept != content_types.JSON:
        raise errors.GenericInferenceToolkitError(406, f"expected JSON or .npy to be accepted, got {accept}")
    return json.dumps({"embeddings": vectors.tolist()}), content_types.JSON


def _decoded(body: str | bytes) -> str:
    try:
        text = body if isinstance(body, str) else body.decode()
    except UnicodeDecodeError as error:
        raise errors.GenericInferenceToolkitError(400, f"expected UTF-8: {error}") from None
    if not text:
        raise errors.GenericInferenceToolkitError(400, "expected a text, got nothing")
    return text


def _encodable(text: str) -> str:
    """Return `text`, or refuse half of a surrogate pair, which JSON can hold and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise errors.GenericInferenceToolkitError(400, f"inputs: {error.reason}") from None
    return text
