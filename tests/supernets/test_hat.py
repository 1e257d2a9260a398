"""The elastic Transformer of HAT: the authors' own outputs, published sizes, an independent count, and its deployment.

``golden/hat.npz`` holds what the authors' code gave (github.com/mit-han-lab/hardware-aware-transformers, MIT:
``TransformerSuperModel`` on CPU, and its ``SequenceGenerator``) for `CONFIG`, with the weights of `recipe` and the
sentences of `sentences`:

genes : (subnets, 39) int8: encoder and decoder width, decoder layers, then six values of each indexed gene
short, long : (subnets, 24) float32 logits at the places of `places`, for sentences of 8 and of 23 source tokens
beam_tokens, beam_lengths, beam_scores : the best hypotheses of the first subnets for the four settings of `SEARCHES`
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch

from hwsearch.supernets.hat import HatConfig
from hwsearch.translation import EOS

CONFIG = HatConfig(
    "small-hat",
    vocabulary=48,
    embeds=(32, 40),
    qkv=32,
    ffns=(32, 64, 96),
    heads=(2, 4),
    positions=64,
    source_tokens=9,
    target_tokens=7,
)
GOLDEN = Path(__file__).parent / "golden" / "hat.npz"
INDEXED = ("encoder.ffn", "encoder.heads", "decoder.ffn", "decoder.heads", "decoder.cross_heads", "decoder.memory")
#: (beam, length penalty, most tokens) of the hypotheses in the golden file
SEARCHES = ((1, 0.6, 12), (4, 0.6, 12), (5, 1.0, 20), (5, 0.0, 6))


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights that follow from their name alone; nothing has its initial value, and residuals do not prevail."""
    name = name.replace("decoder.embed_tokens", "encoder.embed_tokens")
    x = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if "layer_norm.weight" in name:
        x = 1 + 0.3 * x
    elif len(shape) == 1:
        x = 0.1 * x
    else:
        x = x * (1 if "embed" in name else 3) * shape[1] ** -0.5
    if "embed" in name:
        x[EOS] *= 3  # so that some translations end early
    return x.astype(np.float32)


def sentences(source: int, target: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three pairs of up to that many tokens: sources padded on the left, targets, moved on by one, on the right."""
    random = np.random.RandomState(source)
    s, t = random.randint(4, 48, (3, source)), random.randint(4, 48, (3, target))
    s[:, -1], t[:, 0] = 2, 2
    s[1, : source // 3] = s[2, : source // 2] = 1
    t[1, -(target // 4) :] = t[2, -(target // 2) :] = 1
    return torch.from_numpy(s), torch.from_numpy(t)


def places(size: int) -> np.ndarray:
    return np.random.RandomState(size).choice(size, 24, replace=False)
