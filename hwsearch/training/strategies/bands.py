"""Bands of MACs: the strategies ``band-uniform`` and ``band-shift``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field, PrivateAttr
from typing_extensions import override

from hwsearch._typing import FloatArray
from hwsearch.spaces import Architecture
from hwsearch.training.parts.cells import BandSampler
from hwsearch.training.parts.feedback import Seen
from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.strategies.base import Strategy

#: purpose of the generator that draws the probes
PROBE_RNG = 11


class ShiftSampler(BandSampler):
    """Draw bands more often whose loss on fixed examples still falls.

    Every `every` steps two fixed subnets of each band are run on fixed training examples. With l the running mean of a
    band's loss, its progress is d = max(0, l before − l now) / l before, and its probability moves a share `pace` towards
    (1 − floor) · softmax(d / temperature) + floor / bands.

    Attributes
    ----------
    every : int
        Steps between two probes.
    pace, floor, temperature : float
        As above.
    """

    every: int = Field(50, ge=1)
    pace: float = Field(0.3, gt=0, le=1)
    floor: float = Field(0.1, ge=0, le=1)
    temperature: float = Field(0.05, gt=0)
    _p: FloatArray = PrivateAttr()
    _loss: FloatArray = PrivateAttr()
    _probes: list[list[Architecture]] = PrivateAttr(default_factory=list)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        run.bus.subscribe("probe_loss", self.every)
        rng = run.rng(PROBE_RNG)
        self._probes = [cell.sample(2, rng) for cell in self._cells]
        self._p = np.full(len(self._cells), 1 / len(self._cells))
        self._loss = np.full(len(self._cells), np.nan)

    @property
    @override
    def probabilities(self) -> FloatArray:
        return self._p

    @override
    def probes(self) -> list[Architecture]:
        return [arch for pair in self._probes for arch in pair]

    @override
    def update(self, seen: Sequence[Seen]) -> None:
        losses = np.array([s.loss for s in seen if s.probe])
        if not len(losses):
            return
        now = losses.reshape(len(self._cells), 2).mean(axis=1)
        if not np.isnan(self._loss).any():
            now = 0.5 * self._loss + 0.5 * now
            falls = np.maximum(0.0, self._loss - now) / np.maximum(self._loss, 1e-12)
            weight = np.exp((falls - falls.max()) / self.temperature)
            goal = (1 - self.floor) * weight / weight.sum() + self.floor / len(now)
            self._p = (1 - self.pace) * self._p + self.pace * goal
            self._p = self._p / self._p.sum()
        self._loss = now

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"p": self._p.tolist(), "loss": self._loss.tolist()}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._p, self._loss = np.array(state["p"]), np.array(state["loss"])


class BandUniform(Strategy):
    """Draw a band of MACs uniformly, then a subnet of it, so that the ends of the space are trained as often as its middle.

    Uniform genes give bell-shaped MACs: of 1,000 uniform subnets of the embedded space none has three quarters of the
    largest's. With ``by = "quantile"`` the bands hold equally many architectures.

    Attributes
    ----------
    bands : int
        How many bands.
    by : {"log-macs", "quantile"}
        How they are cut.
    draws : int
        Subnets a step.
    label_smoothing : float
        Label smoothing.
    """

    bands: int = Field(5, ge=2)
    by: Literal["log-macs", "quantile"] = "log-macs"
    draws: int = Field(4, ge=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        sampler = BandSampler(bands=self.bands, by=self.by, draws=self.draws)
        return Recipe(sampler, Labels(smoothing=self.label_smoothing))


class BandShift(Strategy):
    """Shift the probabilities of bands of MACs towards those that still learn, after ShiftNAS.

    The paper trains both the probabilities and a generator of subnets end to end by gradients, and its code is not
    public; this rule and the generator, a pool of architectures, are ours.

    Attributes
    ----------
    bands, by, draws, label_smoothing
        As in `BandUniform`.
    every : int
        Steps between two probes of all bands, each of two forward passes a band.
    pace, floor, temperature : float
        As in `ShiftSampler`.

    References
    ----------
    Zhang et al., "ShiftNAS: improving one-shot NAS via probability shift", 2023, arXiv 2307.08300.
    """

    bands: int = Field(5, ge=2)
    by: Literal["log-macs", "quantile"] = "log-macs"
    draws: int = Field(4, ge=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    every: int = Field(50, ge=1)
    pace: float = Field(0.3, gt=0, le=1)
    floor: float = Field(0.1, ge=0, le=1)
    temperature: float = Field(0.05, gt=0)

    @override
    def recipe(self, run: Run) -> Recipe:
        sampler = ShiftSampler(
            bands=self.bands,
            by=self.by,
            draws=self.draws,
            every=self.every,
            pace=self.pace,
            floor=self.floor,
            temperature=self.temperature,
        )
        return Recipe(sampler, Labels(smoothing=self.label_smoothing))
