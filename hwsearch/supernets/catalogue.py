"""The catalogue: supernets by name, each with a card.

An entry is a `SupernetEntry`; other packages add theirs with an entry point of group
``hwsearch.supernets`` that names one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from hwsearch.errors import CheckpointError, SupernetError, nearest
from hwsearch.images import ImageData, Preprocess
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import digest, load_weights, read_state


@dataclass(frozen=True)
class SupernetEntry:
    """One supernet of the catalogue.

    build : makes the network, weights not loaded
    weights : the shipped weight file, or None when the user brings one
    data : gives the shipped images ``calibration``, ``validation`` and ``test``, or None
    card : further facts: licence, source, how it was trained, published accuracies
    """

    name: str
    summary: str
    build: Callable[[], Supernet]
    preprocess: Preprocess
    weights: Path | None = None
    data: Callable[[], dict[str, ImageData]] | None = None
    card: dict[str, Any] = field(default_factory=dict)

    def load(self, checkpoint: Path | None = None) -> LoadedSupernet:
        """The supernet with weights: the user's file if given, else the shipped one."""
        path = checkpoint or self.weights
        if path is None:
            raise CheckpointError(
                f"supernet {self.name!r} ships no weights.",
                hint=f"Give a checkpoint file; {self.card.get('get', 'see its card')}.",
            )
        net = self.build()
        load_weights(net, read_state(path), repr(str(path)))
        net.eval()
        return LoadedSupernet(self, net, digest(net))

    def full_card(self) -> dict[str, Any]:
        """All facts, with those that follow from the network itself; no weights are read."""
        net = self.build()
        space = net.space
        ends = space.to_array([space.smallest(), space.largest()])
        macs, params = net.macs_array(ends), net.params_array(ends)
        return {
            "name": self.name,
            "summary": self.summary,
            "subnets": space.cardinality,
            "genes": len(space.choices),
            "macs_smallest": int(macs[0]),
            "macs_largest": int(macs[1]),
            "params_smallest": int(params[0]),
            "params_largest": int(params[1]),
            "classes": net.classes,
            "weights": "shipped" if self.weights else "bring your own",
            "preprocess": self.preprocess.to_dict(),
            **self.card,
        }


@dataclass
class LoadedSupernet:
    """A supernet with weights and the entry it came from. digest : of the weights."""

    entry: SupernetEntry
    net: Supernet
    digest: str

    def balanced_cost(self, rows: np.ndarray) -> np.ndarray:
        """The cost that balanced sampling spreads over: MACs."""
        return self.net.macs_array(rows)


def names() -> list[str]:
    """Names of all supernets that can be loaded, ours and those of installed packages."""
    return sorted({*_built_in(), *(p.name for p in entry_points(group="hwsearch.supernets"))})


def entry(name: str) -> SupernetEntry:
    """The catalogue's entry of that name; `SupernetError` when there is none."""
    built_in = _built_in()
    if name in built_in:
        return built_in[name]
    for point in entry_points(group="hwsearch.supernets"):
        if point.name == name:
            found = point.load()
            if not isinstance(found, SupernetEntry):
                raise SupernetError(f"entry point {point.value!r} of supernet {name!r} is not a SupernetEntry.")
            return found
    raise SupernetError(f"there is no supernet {name!r}.", hint=nearest(name, names()))


def _built_in() -> dict[str, SupernetEntry]:
    from hwsearch.supernets import cifar10, ofa

    return {e.name: e for e in (cifar10.ENTRY, ofa.W10, ofa.W12, ofa.PROXYLESS)}
