"""The network: a transformer that turns text, byte by byte, into one vector."""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 384
LAYERS = 6
HEADS = 6
LENGTH = 128  # tokens; a longer text is cut
PADDING = 256  # after the 256 values that a byte has


def tokens(texts: list[str]) -> Tensor:
    """UTF-8 bytes, int64 of shape (N, 128), filled up with PADDING. Needs no vocabulary."""
    rows = [list(text.encode()[:LENGTH]) for text in texts]
    return torch.tensor([row + [PADDING] * (LENGTH - len(row)) for row in rows], dtype=torch.int64)


class Layer(nn.Module):
    """Attention and a feed-forward network, each behind a norm and beside what it adds to."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.attended = nn.Linear(WIDTH, WIDTH)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, states: Tensor, allowed: Tensor) -> Tensor:
        """States of shape (N, 128, 384); `allowed` (N, 1, 1, 128) is False where there is padding."""
        batch = states.shape[0]
        mixed = self.query_key_value(self.attention_norm(states))
        query, key, value = mixed.view(batch, LENGTH, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        states = states + self.attended(seen.transpose(1, 2).reshape(batch, LENGTH, WIDTH))
        result: Tensor = states + self.feed_forward(states)
        return result


class Encoder(nn.Module):
    """10.8 million parameters. Takes tokens, int64 (N, 128); gives vectors of length 1, float32 (N, 384)."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(PADDING + 1, WIDTH)
        self.position = nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        present = tokens != PADDING
        states = self.token(tokens) + self.position.weight
        for layer in self.layers:
            states = layer(states, present[:, None, None, :])
        weights = present[:, :, None].to(states.dtype)
        mean = (self.norm(states) * weights).sum(dim=1) / weights.sum(dim=1)
        return functional.normalize(mean, dim=1)
