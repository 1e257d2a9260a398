"""Feedback of a step to parts that adapt: only channels that somebody subscribed to are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from torch import Tensor

from hwsearch._typing import IntArray
from hwsearch.errors import TrainingError, nearest
from hwsearch.spaces import Architecture

#: what a part can subscribe to
Channel = Literal["per_example", "gradient_norms", "gradient", "probe_loss"]
#: subnets of a probe see so many training examples, the same ones at every time
PROBE_EXAMPLES = 512


@dataclass(frozen=True)
class Seen:
    """Feedback of one pass of a subnet.

    Attributes
    ----------
    arch : Architecture
        The subnet.
    loss : float
        Its mean loss on the batch, before weights of examples and scales of draws.
    index : IntArray
        Positions of the batch's examples in the training data, shape ``(b,)``.
    per_example : Tensor, optional
        Norm of each example's loss gradient with respect to the network's outputs, shape ``(b,)``: an upper bound, up to a
        constant, of the norm with respect to the weights (Katharopoulos and Fleuret, 2018, arXiv 1803.00942).
    gradient_norms : mapping of str to float, optional
        Norm of this pass's gradient by parameter; parameters without one are missing.
    gradient : mapping of str to Tensor, optional
        This pass's gradient by parameter.
    probe : bool
        Whether this is a forward pass on the fixed probe examples, not part of the training.
    """

    arch: Architecture
    loss: float
    index: IntArray
    per_example: Tensor | None = None
    gradient_norms: Mapping[str, float] | None = None
    gradient: Mapping[str, Tensor] | None = None
    probe: bool = False


@dataclass
class Bus:
    """Which feedback somebody wants, and how often.

    Attributes
    ----------
    channels : dict of str to int
        Channel → steps between two collections.

    Examples
    --------
    >>> bus = Bus()
    >>> bus.subscribe("per_example", every=2)
    >>> bus.wants("per_example", 4), bus.wants("per_example", 5), bus.wants("gradient", 4)
    (True, False, False)
    """

    channels: dict[str, int] = field(default_factory=dict)

    def subscribe(self, channel: Channel, every: int = 1) -> None:
        """Ask for a channel; of several subscribers the most frequent decides.

        Parameters
        ----------
        channel : str
            ``per_example``, ``gradient_norms``, ``gradient`` or ``probe_loss``.
        every : int
            Steps between two collections.

        Raises
        ------
        TrainingError
            If there is no such channel.
        """
        if channel not in get_args(Channel):
            raise TrainingError(f"there is no feedback channel {channel!r}.", hint=nearest(channel, get_args(Channel)))
        self.channels[channel] = min(every, self.channels.get(channel, every))

    def wants(self, channel: Channel, step: int) -> bool:
        """Tell whether a channel is collected in a step.

        Parameters
        ----------
        channel : str
            The channel.
        step : int
            The step.

        Returns
        -------
        bool
            False where nobody subscribed.
        """
        every = self.channels.get(channel)
        return every is not None and step % every == 0
