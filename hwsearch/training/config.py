"""Hyper-parameters of one stage of supernet training."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from hwsearch.training.part import Part


class TrainingConfig(Part):
    """Hyper-parameters of a run; all of them must be equal when a run is taken up again.

    Attributes
    ----------
    epochs : int
        Passes over the training examples.
    steps : int, optional
        Optimizer steps of the whole run, in place of `epochs`.
    batch : int
        Examples a step.
    lr : float
        Peak learning rate of SGD with Nesterov momentum; by default linear warm-up, then cosine to zero.
    momentum : float
        Of SGD.
    weight_decay : float
        On convolution and linear weights only (not on norms, biases, kernel transforms).
    warmup : float
        Share of the steps in which the learning rate rises.
    clip : float
        Largest norm of the summed gradient.
    padding : int
        Images: zero padding of the random crop, in pixels; they are also mirrored at random.
    randaugment : int
        Images: so many operations of RandAugment an image; none by default.
    magnitude : float
        Strength of RandAugment, from 0 to 10.
    mixup, cutmix : float
        Parameter of the Beta distribution from which the share of a mixed example is drawn; 0 turns the method off. With
        both, each batch uses one of them.
    ema : float
        Decay of an exponential moving average of the weights, near 1; scores and final weights are the average's. 0 is off.
    precision : {"fp32", "bf16", "fp16"}
        Number format of the passes on a GPU; the CPU computes in fp32 only.
    seed : int
        Seed of all randomness.
    compile : bool
        Wrap the supernet in `torch.compile` (measured slower on CPU, see docs/how-to/training.md).
    checkpoint_steps : int
        Steps between two checkpoints.
    ghost_batches : int, optional
        Equal parts of each batch, with batch statistics and augmentation of their own, whose gradients are averaged; several
        processes share them out. By default one a process.

    Raises
    ------
    TrainingError
        If a value is unknown or out of range.

    Examples
    --------
    >>> TrainingConfig(epochs=3, lr=0.05).batch
    128
    """

    epochs: int = Field(30, ge=1, le=10**6)
    steps: int | None = Field(None, ge=1, le=10**9)
    batch: int = Field(128, ge=1, le=2**20)
    lr: float = Field(0.1, ge=0, le=1000)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0, le=10)
    warmup: float = Field(0.05, ge=0, le=1)
    clip: float = Field(5.0, ge=1e-6, le=1e9)
    padding: int = Field(4, ge=0, le=1024)
    randaugment: int = Field(0, ge=0, le=10)
    magnitude: float = Field(9.0, ge=0, le=10)
    mixup: float = Field(0.0, ge=0, le=100)
    cutmix: float = Field(0.0, ge=0, le=100)
    ema: float = Field(0.0, ge=0, lt=1)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    seed: int = Field(0, ge=0, lt=2**32)
    compile: bool = False
    checkpoint_steps: int = Field(200, ge=1, le=10**9)
    ghost_batches: int | None = Field(None, ge=1, le=4096)

    @model_validator(mode="after")
    def _momentum_of_nesterov(self) -> Self:
        if self.momentum == 0:
            raise ValueError("momentum must be above 0 with Nesterov momentum")
        return self
