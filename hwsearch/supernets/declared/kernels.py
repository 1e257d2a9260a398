"""Declared kernel sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from hwsearch.errors import SupernetError
from hwsearch.supernets.declared.channel_groups import NetworkTrace
from hwsearch.supernets.declared.declaration import KernelSize
from hwsearch.supernets.declared.matching import Matched, called_layer


def declared_kernels(
    found: NetworkTrace, modules: Mapping[str, nn.Module], matched: Sequence[Matched]
) -> dict[str, tuple[int, ...]]:
    """Find the declared kernel sizes of a network.

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
    dict
        Convolution → sides of its kernel.

    Raises
    ------
    SupernetError
        If sides do not fit the stored kernel or its padding.
    """
    sides: dict[str, tuple[int, ...]] = {}
    for name, choice in matched:
        if not isinstance(choice, KernelSize):
            continue
        conv = called_layer(found, modules, name)
        assert isinstance(conv, nn.Conv2d)
        stored, values = conv.kernel_size, choice.values
        if sides.setdefault(name, values) != values:
            raise SupernetError(f"{name!r} has two different declarations, kernels {sides[name]} and {values}.")
        if values[-1] != stored[0] or stored[0] != stored[1]:
            raise SupernetError(
                f"{name!r} has a kernel of {stored[0]}×{stored[1]}, but the largest declared is {values[-1]}×{values[-1]}.",
                hint="The largest subnet is the whole network.",
            )
        odd = [v for v in values if (stored[0] - v) % 2]
        if odd:
            raise SupernetError(f"{name!r}: a kernel of {odd[0]} is not the centre of one of {stored[0]}.")
        if conv.padding_mode != "zeros":
            raise SupernetError(f"{name!r} pads by {conv.padding_mode!r}, and its padding cannot follow the kernel.")
        crop = (stored[0] - values[0]) // 2
        short = isinstance(conv.padding, str) or any(
            p < crop * d for p, d in zip(conv.padding, conv.dilation, strict=True)
        )
        if crop and short and conv.padding != "same":
            raise SupernetError(
                f"{name!r}: a kernel of {values[0]} would change the output's size at padding {conv.padding}."
            )
    return sides
