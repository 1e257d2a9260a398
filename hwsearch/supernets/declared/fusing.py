"""Which norms of a declared network are followed by an activation, so that kernels can compute both at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from torch import fx, nn

from hwsearch.supernets.declared.channel_groups import NetworkTrace
from hwsearch.supernets.layers.sliced.activation import HANDED


def norm_activations(
    found: NetworkTrace, modules: Mapping[str, nn.Module], containers: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Find norms whose only reader is an activation layer, whatever the depth of the subnet.

    Parameters
    ----------
    found : NetworkTrace
        The trace of the largest network.
    modules : mapping
        Name → module.
    containers : collection of str
        Names of the containers of which some children may be left out.

    Yields
    ------
    norm : str
        Name of a batch norm of images that is called once.
    activation : str
        Name of the activation; it may be called elsewhere as well.
    """
    nodes = [n for n in found.scopes if n.op == "call_module"]
    calls = Counter(id(modules[str(n.target)]) for n in nodes if str(n.target) in modules)
    for node in nodes:
        norm = modules.get(str(node.target))
        reader = next(iter(node.users)) if len(node.users) == 1 else None
        if type(norm) is not nn.BatchNorm2d or calls[id(norm)] != 1 or reader is None or not _calls(reader, node):
            continue
        if type(modules.get(str(reader.target))) in HANDED and _stay_together(
            str(node.target), str(reader.target), containers
        ):
            yield str(node.target), str(reader.target)


def _calls(reader: fx.Node, node: fx.Node) -> bool:
    """Tell whether a node calls a layer on another and nothing else."""
    return reader.op == "call_module" and reader.args == (node,) and not reader.kwargs


def _stay_together(norm: str, activation: str, containers: Collection[str]) -> bool:
    """Tell whether no subnet leaves the activation out and keeps the norm."""
    for container in containers:
        prefix = f"{container}." if container else ""
        if activation.startswith(prefix):
            child = prefix + activation.removeprefix(prefix).partition(".")[0]
            if norm != child and not norm.startswith(f"{child}."):
                return False
    return True
