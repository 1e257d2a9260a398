"""Scale from pixels to inputs, for what is told of a network in units of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PixelScale:
    """Normalisation of pixels, which go from 0 to 1: input = (pixel - mean) / std, channel by channel.

    Attributes
    ----------
    mean, std : tuple of float
        Per channel.

    Examples
    --------
    >>> scale = PixelScale((0.5,), (0.25,))
    >>> lower, upper = scale.box(torch.tensor([[[[0.0, 2.0]]]]), 0.125)  # pixels 0.5 and 1
    >>> lower.flatten().tolist(), upper.flatten().tolist()
    ([-0.5, 1.5], [0.5, 2.0])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def box(self, inputs_NCHW: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        """Bound the inputs whose pixels differ by at most `epsilon` and are within the pixel range.

        Parameters
        ----------
        inputs_NCHW : Tensor
            Normalised images ``(N, C, H, W)``. What interpolation took beyond the pixel range stays within its box.
        epsilon : float
            Largest change of a pixel, in units of the pixel range.

        Returns
        -------
        lower, upper : Tensor
            Of the shape of the inputs.
        """
        mean, std = (inputs_NCHW.new_tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        black, white, most = -mean / std, (1 - mean) / std, epsilon / std
        lower = torch.minimum(torch.maximum(inputs_NCHW - most, black), inputs_NCHW)
        return lower, torch.maximum(torch.minimum(inputs_NCHW + most, white), inputs_NCHW)
