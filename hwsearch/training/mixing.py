"""Mix the examples of a batch with each other: mixup and CutMix, whole batches at once.

Zhang et al., "mixup: beyond empirical risk minimization", 2017, arXiv 1710.09412; Yun et al., "CutMix: regularization
strategy to train strong classifiers with localizable features", 2019, arXiv 1905.04899.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def mix(
    images_NCHW: Tensor, targets: Tensor, rng: np.random.Generator, *, mixup: float, cutmix: float
) -> tuple[Tensor, Tensor, float]:
    """Mix every image with another one of the batch.

    The share of the first image is drawn once a batch from Beta(a, a); where both methods are on, a coin decides.

    Parameters
    ----------
    images_NCHW : Tensor
        Images ``(b, channels, h, w)``; not changed.
    targets : Tensor
        Targets ``(b, …)``.
    rng : numpy.random.Generator
        Source of all randomness.
    mixup, cutmix : float
        Parameters a of the two methods; 0 turns one off.

    Returns
    -------
    mixed : Tensor
        Shape as `images_NCHW`.
    other_targets : Tensor
        Targets of the images that were mixed in.
    share : float
        Share of each image's own target.
    """
    cut = cutmix > 0 and (mixup == 0 or rng.random() < 0.5)
    a = cutmix if cut else mixup
    share = float(rng.beta(a, a))
    order = torch.from_numpy(rng.permutation(len(images_NCHW))).to(images_NCHW.device)
    others = images_NCHW[order]
    if not cut:
        return share * images_NCHW + (1 - share) * others, targets[order], share
    top, bottom, left, right = box(images_NCHW.shape[2], images_NCHW.shape[3], share, rng)
    mixed = images_NCHW.clone()
    mixed[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    area = (bottom - top) * (right - left)
    return mixed, targets[order], 1 - area / (images_NCHW.shape[2] * images_NCHW.shape[3])


def box(height: int, width: int, share: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Place the rectangle of CutMix: of 1 − share of the area, its centre anywhere, cut off at the border.

    Parameters
    ----------
    height, width : int
        Size of the image in pixels.
    share : float
        Share of the area that stays, in [0, 1].
    rng : numpy.random.Generator
        Source of the centre.

    Returns
    -------
    tuple of int
        First row, row after the last, first column, column after the last.

    Examples
    --------
    >>> box(4, 4, 0.0, np.random.default_rng(3))
    (1, 4, 0, 2)
    """
    half = math.sqrt(1 - share) / 2
    y, x = rng.integers(height), rng.integers(width)
    rows = (round(y - half * height), round(y + half * height))
    columns = (round(x - half * width), round(x + half * width))
    top, bottom = (min(max(r, 0), height) for r in rows)
    left, right = (min(max(c, 0), width) for c in columns)
    return int(top), int(bottom), int(left), int(right)
