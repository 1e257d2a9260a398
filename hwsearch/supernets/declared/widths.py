"""Declared widths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from hwsearch.errors import SupernetError
from hwsearch.supernets.declared.channel_groups import NetworkTrace
from hwsearch.supernets.declared.declaration import Width
from hwsearch.supernets.declared.matching import Matched, called_layer
from hwsearch.supernets.layers.sliced.conv import is_depthwise


def declared_widths(
    found: NetworkTrace, modules: Mapping[str, nn.Module], matched: Sequence[Matched]
) -> tuple[dict[int, str], dict[str, dict[float, int]]]:
    """Find the declared widths of a network.

    Parameters
    ----------
    found : NetworkTrace
        The trace.
    modules : mapping
        Name → module.
    matched : sequence of (str, Declared)
        Result of `match_modules`.

    Returns
    -------
    genes : dict
        Root of a group of axes → gene.
    counts : dict
        Gene → {share: channels}.

    Raises
    ------
    SupernetError
        If a width cannot be cut, or coupled layers are declared differently.
    """
    genes: dict[int, str] = {}
    counts: dict[str, dict[float, int]] = {}
    first: dict[int, tuple[str, Width]] = {}
    for name, choice in matched:
        if not isinstance(choice, Width):
            continue
        called_layer(found, modules, name)
        axis = found.groups.root(found.axes[name][1])
        if (reason := found.groups.reason(axis)) is not None:
            raise SupernetError(f"{name!r} cannot have an elastic width: {reason}.")
        other, earlier = first.setdefault(axis, (name, choice))
        if earlier != choice:
            raise SupernetError(
                f"{other!r} and {name!r} share one width, but are declared as {earlier} and {choice}.",
                hint="Declare one of them, or both alike.",
            )
        if other == name:
            genes[axis] = f"width[{name}]"
            counts[genes[axis]] = choice.choices(found.groups.size(axis))
            _check_groups(found, modules, name, counts[genes[axis]])
    return genes, counts


def _check_groups(
    found: NetworkTrace, modules: Mapping[str, nn.Module], name: str, counts: Mapping[float, int]
) -> None:
    for norm, (_, axis) in found.axes.items():
        module = modules[norm]
        if isinstance(module, nn.GroupNorm) and found.groups.root(axis) == found.groups.root(found.axes[name][1]):
            size = module.num_channels // module.num_groups
            odd = [n for n in counts.values() if n % size]
            if odd:
                raise SupernetError(
                    f"{name!r} cannot have {odd[0]} channels: {norm!r} normalises groups of {size}.",
                    hint=f"Give Width a divisor that is a multiple of {size}.",
                )


def has_own_width(module: nn.Module) -> bool:
    """Tell whether a layer's output width is its own, not that of its input.

    Parameters
    ----------
    module : nn.Module
        The layer.

    Returns
    -------
    bool
        True for linear layers and for convolutions that are not depth-wise.
    """
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and not is_depthwise(module))
