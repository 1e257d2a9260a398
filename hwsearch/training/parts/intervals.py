"""Certified training: intervals beside the examples, the loss of the worst case, and what keeps bounds tight."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, PrivateAttr
from torch import Tensor
from typing_extensions import override

from hwsearch.accuracy.certified import Interval, Watch, interval_outputs, margin_bounds
from hwsearch.accuracy.certified.score import pixel_scale
from hwsearch.errors import BoundError, TrainingError
from hwsearch.supernets.kernels import EAGER, using
from hwsearch.tasks.data import Inputs
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.event import Event
from hwsearch.training.parts.loss import Outputs, StepLoss
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.schedule import RatedBy
from hwsearch.training.parts.view import Slices

log = logging.getLogger(__name__)

#: exponent of the first quarter of the ramp, and that share
EXPONENT, CURVED = 4, 0.25
#: half widths are taken as at least this, so that the gradient of a ratio stays a number
LEAST_WIDTH = 1e-12


class EpsilonRamp(RatedBy):
    """Let epsilon rise smoothly from 0 to all of it: like the fourth power in the first quarter of the ramp, then linearly.

    The value ``epsilon`` is the share that is reached.

    Attributes
    ----------
    base : Schedule
        The learning rate.
    start, ramp : float
        Shares of the run: where the ramp begins, and its length.

    References
    ----------
    The schedule of Xu et al., "Automatic perturbation analysis for scalable certified robustness and beyond", 2020,
    arXiv 2002.12920, which Shi et al. 2021 use.
    """

    start: float = Field(0.05, ge=0, le=1)
    ramp: float = Field(0.25, ge=0, le=1)

    @override
    def values(self, step: int) -> Mapping[str, float]:
        begin, length = self.start * self._run.steps, self.ramp * self._run.steps
        return {"epsilon": smooth_share((step - begin) / length) if length else float(step >= begin)}


def smooth_share(x: float) -> float:
    """Compute the share of epsilon at a place of the ramp.

    Parameters
    ----------
    x : float
        The place, from 0 to 1.

    Returns
    -------
    float
        From 0 to 1, with a continuous slope within.

    Examples
    --------
    >>> smooth_share(-1.0), smooth_share(1.0), round(smooth_share(0.25), 4)
    (0.0, 1.0, 0.0769)
    """
    x = min(max(x, 0.0), 1.0)
    unit = 1 / (CURVED**EXPONENT + EXPONENT * CURVED ** (EXPONENT - 1) * (1 - CURVED))
    if x < CURVED:
        return float(unit * x**EXPONENT)
    return float(unit * (CURVED**EXPONENT + EXPONENT * CURVED ** (EXPONENT - 1) * (x - CURVED)))


@dataclass(frozen=True)
class Bounded:
    """Record of the pass of an interval.

    Attributes
    ----------
    logits : Interval
        The outputs.
    watch : Watch
        What was met on the way.
    radius : Tensor
        Mean half width of the inputs, a scalar.
    share : float
        Share of epsilon.
    """

    logits: Interval
    watch: Watch
    radius: Tensor
    share: float


class IntervalSlices(Slices):
    """Slices of the shared weights, through which the box around each example goes beside the example.

    In training mode a pass keeps the bounds of the bound subnet, which `IntervalLoss` takes; batch norms have the statistics of
    the examples themselves. In evaluation mode it is the plain pass.

    Attributes
    ----------
    epsilon : float
        Largest change of a pixel, as a share of the pixel range.
    """

    epsilon: float = Field(gt=0, le=1)
    _share: float = PrivateAttr(1.0)
    _kept: Bounded | None = PrivateAttr(None)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        if run.config.compile:
            raise TrainingError(
                "certified training propagates intervals, and the configuration has compile = true.",
                hint="Leave compile out.",
            )
        try:
            pixel_scale(run.task)
            layer_inputs(run)  # on one example, before anything is trained
        except BoundError as error:
            raise TrainingError(error.message, hint=error.hint) from error

    @override
    def begin(self, now: Moment) -> None:
        self._share = now.values.get("epsilon", 1.0)

    @override
    def forward(self, inputs: Inputs) -> Tensor:
        net = self._run.supernet
        if not net.training or not torch.is_grad_enabled():
            return super().forward(inputs)
        assert isinstance(inputs, Tensor)
        scale, watch = pixel_scale(self._run.task), Watch()
        lower, upper = scale.box(inputs, self.epsilon * self._share)
        with using(EAGER):
            found = interval_outputs(net, Interval(lower, upper, inputs, watch=watch))
        assert found.nominal is not None
        self._kept = Bounded(found, watch, (upper - lower).mean() / 2, self._share)
        return found.nominal

    def take(self) -> Bounded:
        """Get what the last pass left; it is forgotten here.

        Returns
        -------
        Bounded
            Of the last call of `forward` in training mode.
        """
        kept, self._kept = self._kept, None
        assert kept is not None, "a loss is asked for after a pass"
        return kept


class IntervalLoss(StepLoss):
    """Cross-entropy of the worst case that bounds allow, and two regularisers while epsilon rises.

    The loss is ``CE(-m, y)`` with the lower bounds m of the margins. Both regularisers have the weight
    ``regularisation (1 - epsilon / its end)``, see `tightness` and `balance`.

    Attributes
    ----------
    regularisation : float
        Weight of the regularisers at the start; 0 turns them off.
    tolerance : float
        Ratio below which a regulariser acts.
    natural : float
        Share of the loss that is the plain one of the example itself.

    References
    ----------
    Shi, Wang, Zhang, Yi and Hsieh, "Fast certified robust training with short warmup", 2021, arXiv 2103.17268.
    """

    regularisation: float = Field(0.5, ge=0)
    tolerance: float = Field(0.5, gt=0, le=1)
    natural: float = Field(0.0, ge=0, le=1)
    _view: IntervalSlices = PrivateAttr()

    def watching(self, view: IntervalSlices) -> IntervalLoss:
        """Name the view whose bounds this takes.

        Parameters
        ----------
        view : IntervalSlices
            Of the same recipe.

        Returns
        -------
        IntervalLoss
            This loss.
        """
        self._view = view
        return self

    @override
    def __call__(self, out: Outputs, batch: Batch, draw: Draw, teacher: Outputs | None, now: Moment) -> Tensor:
        found = self._view.take()

        def against(targets: Tensor) -> Tensor:
            worst = F.cross_entropy(-margin_bounds(found.logits, targets), targets)
            if not self.natural:
                return worst
            return (1 - self.natural) * worst + self.natural * self._run.task.loss(out.logits, targets)

        loss = against(batch.targets)
        if batch.other_targets is not None:
            loss = batch.share * loss + (1 - batch.share) * against(batch.other_targets)
        weight = self.regularisation * (1 - found.share)
        if weight and found.share:
            loss = loss + weight * (tightness(found, self.tolerance) + balance(found.watch, self.tolerance))
        return loss


def tightness(found: Bounded, tolerance: float) -> Tensor:
    """Compute the regulariser of tight bounds: the mean over activations of ``relu(tolerance - R_0 / R_i) / tolerance``.

    Parameters
    ----------
    found : Bounded
        A pass; R_0 is the mean half width of its inputs, R_i that in front of activation i.
    tolerance : float
        Ratio below which it acts.

    Returns
    -------
    Tensor
        A scalar, from 0 to 1.
    """
    widths = [(upper - lower).mean() / 2 for lower, upper in found.watch.activations]
    parts = [F.relu(tolerance - found.radius / width.clamp(min=LEAST_WIDTH)) / tolerance for width in widths]
    return torch.stack(parts).mean() if parts else torch.zeros(())


def balance(watch: Watch, tolerance: float) -> Tensor:
    """Compute the regulariser of balanced activations: those surely on and those surely off weigh alike.

    For each activation, the ratio of the sums of centres over entries above 0 and below 0, and that of the sums of squared
    deviations, are to be within `tolerance` of each other. An activation without entries of both kinds is left out.

    Parameters
    ----------
    watch : Watch
        A pass.
    tolerance : float
        Ratio below which it acts.

    Returns
    -------
    Tensor
        A scalar, from 0 to 2.
    """
    parts = []
    for lower, upper in watch.activations:
        centre, on, off = (lower + upper) / 2, lower > 0, upper < 0
        if not bool(on.any()) or not bool(off.any()):
            continue
        squares = (centre - centre.mean()) ** 2
        for above, below in (
            ((centre * on).sum(), -(centre * off).sum()),
            ((squares * on).sum(), (squares * off).sum()),
        ):
            ratio = torch.minimum(above, below) / torch.maximum(above, below)
            parts.append(torch.nan_to_num(F.relu(tolerance - ratio) / tolerance))
    count = max(1, len(watch.activations))
    return torch.stack(parts).sum() / count if parts else torch.zeros(())


class DrawWeights(Event):
    """Draw weights for intervals before the first step.

    Attributes
    ----------
    always : bool
        Also where the batch norms show that the supernet has been trained before.
    """

    at: float = 0.0
    always: bool = False

    @override
    def act(self) -> None:
        means = [v for n, v in self._run.supernet.named_buffers() if n.endswith("running_mean")]
        if self.always or not any(bool(v.any()) for v in means):
            initialise_for_intervals(self._run)
        else:
            log.info("the supernet has been trained before: its weights are kept, none are drawn for intervals")


@torch.no_grad()
def layer_inputs(run: Run) -> tuple[Watch, Tensor]:
    """Let one example's box through the largest subnet, to see what its layers are.

    Parameters
    ----------
    run : Run
        The run; its supernet is left in the mode it had.

    Returns
    -------
    watch : Watch
        Its layers, in order.
    last : Tensor
        Weight of the last layer.

    Raises
    ------
    BoundError
        If an operator is not covered.
    """
    net, arch = run.supernet, run.space.largest()
    net.activate(arch)
    training, watch = net.training, Watch()
    net.eval()
    try:
        x, _ = next(run.data.take(np.zeros(1, np.int64)).batches(net.input_size(arch), 1))
        assert isinstance(x, Tensor)
        x = x.to(next(net.parameters()).device)
        found = interval_outputs(net, Interval(x, x, watch=watch))
    finally:
        net.train(training)
    return watch, watch.layers[-1][0] if found.affine is None else found.affine.weight


@torch.no_grad()
def initialise_for_intervals(run: Run) -> None:
    """Draw weights that keep the bounds of a deep network from exploding: of standard deviation ``sqrt(2 pi) / fan_in``.

    With it the expected half width in front of each activation is that of the layer before; it is halved for layers whose input
    is the sum of two branches. The last layer, norms and biases keep what they have.

    Parameters
    ----------
    run : Run
        Whose supernet gets new weights, drawn from its seed.

    Raises
    ------
    BoundError
        If an operator is not covered.

    References
    ----------
    Shi et al., 2021, arXiv 2103.17268, section 3.1.
    """
    watch, last = layer_inputs(run)
    generator = torch.Generator().manual_seed(run.config.seed)
    shared = {p.untyped_storage().data_ptr(): p for p in run.supernet.parameters()}
    summed: dict[int, bool] = {}
    for weight, after_sum in watch.layers:
        place = weight.untyped_storage().data_ptr()
        if place in shared and place != last.untyped_storage().data_ptr():
            summed[place] = summed.get(place, False) or after_sum
    for place, after_sum in summed.items():
        parameter = shared[place]
        std = math.sqrt(2 * math.pi) / parameter[0].numel() * (0.5 if after_sum else 1.0)
        drawn = torch.empty(parameter.shape).normal_(0.0, std, generator=generator)
        parameter.copy_(drawn)
