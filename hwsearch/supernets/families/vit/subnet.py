"""The static subnet of ViT: patch embedding, encoder layers, classifier."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.families.encoder.layers import EncoderLayer


def at_grid(positions_1TC: Tensor, grid: int) -> Tensor:
    """Interpolate position embeddings to another grid of patches, bicubic, corners not aligned.

    Parameters
    ----------
    positions_1TC : Tensor
        Embeddings of the class token and of a square grid, of shape (1, 1 + side², C).
    grid : int
        Patches along a side.

    Returns
    -------
    Tensor
        Embeddings of shape (1, 1 + grid², C).
    """
    own = isqrt(positions_1TC.shape[1] - 1)
    if own == grid:
        return positions_1TC
    image = positions_1TC[:, 1:].reshape(1, own, own, -1).permute(0, 3, 1, 2)
    image = F.interpolate(image, size=(grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([positions_1TC[:, :1], image.permute(0, 2, 3, 1).reshape(1, grid**2, -1)], dim=1)


def embed(x_NCHW: Tensor, patches: nn.Module, class_token: Tensor, positions_1TC: Tensor) -> Tensor:
    """Embed images: the class token and the patches' projections, with their positions added.

    Parameters
    ----------
    x_NCHW : Tensor
        Images of shape (N, 3, H, W).
    patches : nn.Module
        Convolution that projects patches.
    class_token : Tensor
        Token of shape (1, 1, C).
    positions_1TC : Tensor
        Position embeddings of shape (1, 1 + patches, C).

    Returns
    -------
    Tensor
        Tokens of shape (N, 1 + patches, C).
    """
    x = patches(x_NCHW).flatten(2).transpose(1, 2)
    return torch.cat([class_token.expand(x.shape[0], -1, -1), x], dim=1) + positions_1TC


class ViTSubnet(nn.Module):
    """A plain static subnet; it has no reference to the supernet.

    Parameters
    ----------
    patches : nn.Conv2d
        Convolution that projects patches.
    class_token : Tensor
        Token of shape (1, 1, C).
    positions_1TC : Tensor
        Position embeddings of its resolution.
    layers : sequence of EncoderLayer
        Encoder layers in order.
    norm : nn.LayerNorm
        Norm behind them.
    classifier : nn.Linear
        Last layer.
    """

    def __init__(
        self,
        patches: nn.Conv2d,
        class_token: Tensor,
        positions_1TC: Tensor,
        layers: Sequence[EncoderLayer],
        norm: nn.LayerNorm,
        classifier: nn.Linear,
    ) -> None:
        super().__init__()
        self.patches = patches
        self.class_token = nn.Parameter(class_token)
        self.positions = nn.Parameter(positions_1TC)
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.classifier = classifier

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Compute logits of images.

        Parameters
        ----------
        x_NCHW : Tensor
            Images of shape (N, 3, r, r).

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """
        x = embed(x_NCHW, self.patches, self.class_token, self.positions)
        for layer in self.layers:
            x = layer(x)
        return self.classifier(self.norm(x[:, 0]))  # type: ignore[no-any-return]
