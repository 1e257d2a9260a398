"""Load weights into supernets, and extract subnets without drawing random weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from hwsearch.errors import CheckpointError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint.matching import abridged, compare, not_finite


class Uninitialised(TorchFunctionMode):
    """Context manager: new layers draw no random weights, because all of them are about to be loaded."""

    DRAWS = frozenset({Tensor.uniform_, Tensor.normal_, init.uniform_, init.normal_, init.kaiming_uniform_})

    @override
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.DRAWS:
            drawn = kwargs["tensor"] if "tensor" in kwargs else args[0]
            if isinstance(drawn, nn.Parameter):  # other tensors may be no part of a file
                return drawn
        return func(*args, **kwargs)


def extract_subnet(net: Supernet, arch: Architecture) -> nn.Module:
    """Extract a static subnet in evaluation mode, without drawing random weights for its layers first.

    Parameters
    ----------
    net : Supernet
        The supernet.
    arch : Architecture
        Architecture of its space.

    Returns
    -------
    nn.Module
        The subnet, with weights of its own.
    """
    with Uninitialised():
        return net.subnet(arch).eval()


def load_weights(net: Supernet, state: Mapping[str, Tensor], source: str, *, take: bool = False) -> None:
    """Load weights into a supernet; every tensor must be there, of the right shape, and finite.

    Names become the supernet's own first (`compare`). Half-precision tensors are widened.

    Parameters
    ----------
    net : Supernet
        The supernet, which is changed.
    state : mapping
        Name → tensor.
    source : str
        Where the tensors come from, for error messages.
    take : bool, default False
        Whether the tensors become the network's own without a copy; nothing else may use them afterwards.

    Raises
    ------
    CheckpointError
        If tensors are missing, unknown, of another shape, or not finite.
    """
    fit = compare(net, state)
    if not fit.complete:
        raise CheckpointError(f"{source} does not fit {type(net).__name__}: {fit}.", hint=fit.hint)
    bad = not_finite(state)
    if bad:
        raise CheckpointError(f"{source} holds values that are not numbers in {abridged(bad)}.")
    state, own = net.rename(state), net.state_dict()
    full: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, value in own.items():
        tensor = state[name].to(value.dtype).contiguous() if name in state else value
        place = tensor.untyped_storage().data_ptr()
        full[name] = tensor.clone() if place in taken else tensor
        taken.add(place)
    net.load_state_dict(full, assign=take and not _tied(net))
    net.after_loading()


def _tied(net: nn.Module) -> bool:
    """Tell whether two layers have one parameter: it must stay one."""
    owned = [id(p) for m in net.modules() for p in m._parameters.values() if p is not None]
    return len(owned) > len(set(owned))
