"""Verified accuracy: the share of images that no small change of their pixels can make wrong."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch.accuracy.certified.interval import Interval
from hwsearch.accuracy.certified.margins import margin_bounds
from hwsearch.errors import BoundError
from hwsearch.tasks.base import Task
from hwsearch.tasks.classification import Accuracy
from hwsearch.tasks.data import Data
from hwsearch.tasks.pixels import PixelScale


def parse_epsilon(value: object) -> float:
    """Read how far each pixel may be changed: a share of the pixel range from 0 to 1, such as ``0.03`` or ``"8/255"``.

    Parameters
    ----------
    value : object
        A number, or a text with a number or a fraction.

    Returns
    -------
    float
        Above 0, at most 1.

    Raises
    ------
    BoundError
        If it is no number, or beyond the pixel range.

    Examples
    --------
    >>> parse_epsilon("2/255") == 2 / 255, parse_epsilon(0.1)
    (True, 0.1)
    """
    try:
        if isinstance(value, str):
            above, slash, below = value.partition("/")
            number = float(above) / float(below) if slash else float(above)
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError
        else:
            number = float(value)
    except (ValueError, ZeroDivisionError):
        raise BoundError(
            f"epsilon {value!r} is not a number.", hint="Write a share of the pixel range: '2/255', or 0.1."
        ) from None
    if not math.isfinite(number) or number <= 0:
        raise BoundError(
            f"epsilon {value!r} must be above 0.", hint="Write a share of the pixel range, such as '2/255'."
        )
    if number > 1:
        raise BoundError(
            f"epsilon {value!r} is beyond the pixel range: pixels go from 0 to 1.",
            hint=f"For {number:g} of 255 levels write '{number:g}/255'.",
        )
    return number


def pixel_scale(task: Task) -> PixelScale:
    """Get how a task's pixels become inputs.

    Parameters
    ----------
    task : Task
        What the network is for.

    Returns
    -------
    PixelScale
        Of the task.

    Raises
    ------
    BoundError
        If its inputs are not pixels, or its score does not count right answers.
    """
    scale = task.pixel_scale()
    if scale is None or not task.counts_correct:
        raise BoundError(
            f"accuracy of task {task.name!r} cannot be certified: its inputs are not pixels of images to be classified.",
            hint="In a campaign leave 'verified_accuracy' out of the objectives; in a training take another strategy than 'certified'.",
        )
    return scale


def interval_outputs(net: nn.Module, box: Interval) -> Interval:
    """Bound a network's outputs over a box of inputs.

    Parameters
    ----------
    net : torch.nn.Module
        A network, in the mode that it is to be bounded in.
    box : Interval
        Inputs.

    Returns
    -------
    Interval
        Of its logits.

    Raises
    ------
    BoundError
        If one of its operators is not covered; the message names it.
    """
    found = net(box)
    if not isinstance(found, Interval):
        raise BoundError(
            f"the network gives {type(found).__name__} in place of logits, so that its accuracy cannot be certified."
        )
    return found


@torch.no_grad()
def verified_score(task: Task, net: nn.Module, data: Data, size: int, epsilon: float, *, batch: int = 250) -> Accuracy:
    """Count the images that are answered right whatever is done to their pixels, by interval bound propagation.

    Each pixel of the image that the network sees may change by up to `epsilon` of the pixel range, and stays within that range.
    What is verified is proved for real arithmetic; float32 rounds. What is not verified may be right all the same.

    Parameters
    ----------
    task : Task
        Classification of images.
    net : torch.nn.Module
        The network; it is bounded in evaluation mode and left in the mode it had.
    data : Data
        Examples of this task.
    size : int
        Input size, as `Data.batches` takes it.
    epsilon : float
        Largest change of a pixel, as a share of the pixel range.
    batch : int
        Examples in each pass.

    Returns
    -------
    Accuracy
        Which images are verified, in the order of `data`; at most those that are answered right.

    Raises
    ------
    BoundError
        If an operator of the network is not covered, the task's inputs are not pixels, or `epsilon` is beyond their range.

    References
    ----------
    Gowal et al., "On the effectiveness of interval bound propagation for training verifiably robust models", 2018,
    arXiv 1810.12715.
    """
    scale, epsilon = pixel_scale(task), parse_epsilon(epsilon)
    training = net.training
    net.eval()
    found = []
    try:
        for x, y in data.batches(size, batch):
            assert isinstance(x, Tensor)
            outputs = interval_outputs(net, Interval(*scale.box(x, epsilon)))
            margins = margin_bounds(outputs, y).scatter(1, y[:, None], math.inf)
            found.append((margins > 0).all(1).numpy())  # NaN is above nothing
    finally:
        net.train(training)
    return Accuracy(np.concatenate(found))


def check_bounds(task: Task, net: nn.Module, data: Data, size: int, epsilon: float) -> None:
    """Check that a network can be certified: on one image, before many are.

    Parameters
    ----------
    task : Task
        Classification of images.
    net : torch.nn.Module
        The network.
    data : Data
        Examples of this task.
    size : int
        Input size.
    epsilon : float
        Largest change of a pixel, as a share of the pixel range.

    Raises
    ------
    BoundError
        If an operator of the network is not covered, the task's inputs are not pixels, or `epsilon` is beyond their range.
    """
    pixel_scale(task)  # before an image is read
    verified_score(task, net, data.head(1), size, epsilon, batch=1)
