"""Match the names and patterns of a declaration with the modules of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from hwsearch.errors import SupernetError, nearest
from hwsearch.supernets.declared.channel_groups import NetworkTrace
from hwsearch.supernets.declared.declaration import KINDS, Declaration, Declared
from hwsearch.supernets.declared.meta import computed_weight_reason, is_computed

# ---------------------------------------------------------------------- what it means for one network
Matched = tuple[str, Declared]


def match_modules(modules: Mapping[str, nn.Module], declaration: Declaration) -> list[Matched]:
    """Match a declaration with the modules of a network.

    Parameters
    ----------
    modules : mapping
        Name → module.
    declaration : mapping
        Name or pattern → what may vary.

    Returns
    -------
    list of (str, Declared)
        Module and what may vary in it, in the order of the network's modules.

    Raises
    ------
    SupernetError
        If a pattern fits no module, or none of the right kind.
    """
    matched: list[Matched] = []
    for pattern, declared in declaration.items():
        names = [n for n in modules if _fits(pattern.split("."), n.split("."))]
        if not names:
            raise SupernetError(f"the network has no module {pattern!r}.", hint=nearest(pattern, filter(None, modules)))
        for choice in declared if isinstance(declared, (tuple, list)) else (declared,):
            kinds = KINDS.get(type(choice))
            if kinds is None:
                raise SupernetError(f"{pattern!r}: {choice!r} is not a Width, Depth or KernelSize.")
            fitting = [n for n in names if isinstance(modules[n], kinds)]
            if not fitting:
                raise SupernetError(
                    f"{pattern!r} is {names[0]!r}, of type {type(modules[names[0]]).__name__}, but "
                    f"{type(choice).__name__} is for {' and '.join(k.__name__ for k in kinds)}."
                )
            matched += [(n, choice) for n in fitting]
    order = list(modules)
    return sorted(matched, key=lambda m: order.index(m[0]))


def _fits(pattern: Sequence[str], name: Sequence[str]) -> bool:
    if not pattern or not name:
        return not name and all(p == "**" for p in pattern)
    if pattern[0] == "**":
        return _fits(pattern[1:], name) or _fits(pattern, name[1:])
    return fnmatchcase(name[0], pattern[0]) and _fits(pattern[1:], name[1:])


def called_layer(found: NetworkTrace, modules: Mapping[str, nn.Module], name: str) -> nn.Module:
    """Look up a layer that is to be cut.

    Parameters
    ----------
    found : NetworkTrace
        The trace.
    modules : mapping
        Name → module.
    name : str
        Name of the layer.

    Returns
    -------
    nn.Module
        The layer.

    Raises
    ------
    SupernetError
        If its weight is computed from others, or the network's forward does not call it.
    """
    if is_computed(modules[name]):
        raise SupernetError(f"{name!r} cannot be elastic: {computed_weight_reason(name)}.")
    if name not in found.axes:
        kind = f"{type(modules[name]).__module__}.{type(modules[name]).__name__}"
        raise SupernetError(f"{name!r} ({kind}) is not a plain torch.nn layer that the network's forward calls.")
    return modules[name]


def is_inside(name: str, module: str) -> bool:
    """Tell whether a module or weight lies inside a module, or is it.

    Parameters
    ----------
    name : str
        Name of a module or weight.
    module : str
        Name of a module.

    Returns
    -------
    bool
        Whether it does.

    Examples
    --------
    >>> is_inside("layer1.0.conv1", "layer1"), is_inside("layer10", "layer1")
    (True, False)
    """
    return name == module or name.startswith(f"{module}.")
