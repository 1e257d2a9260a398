"""The catalogue: supernets by name, each with a card.

An entry is a `SupernetEntry`; other packages add theirs with an entry point of group
``hwsearch.supernets`` that names one.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from hwsearch.errors import CheckpointError, HwsearchError, SupernetError, nearest
from hwsearch.images import Preprocess, read_images
from hwsearch.inputs import Data
from hwsearch.plugins import entry_points
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import Uninitialised, digest, load_weights, read_state


class Prepared(Protocol):
    """How raw data become a network's input: `hwsearch.images.Preprocess`, or a family's own."""

    def to_dict(self) -> dict[str, Any]: ...


class Reader(Protocol):
    """Reads the data of a campaign's configuration."""

    def __call__(
        self,
        text: str,
        preprocess: Any,
        *,
        limit: int,
        classes: tuple[str, ...] | None = None,
        vocabulary: Path | None = None,
    ) -> Data:
        """text : what the configuration says: a folder or file, maybe with ``:split``; limit : most examples"""
        ...


@dataclass(frozen=True)
class SupernetEntry:
    """One supernet of the catalogue.

    build : makes the network of the published shape, weights not loaded
    build_for : makes the network that a file's tensors call for (another number of classes, another vocabulary)
    weights : the shipped weight file, or None when the user brings one
    data : gives the shipped examples ``calibration``, ``validation`` and ``test``, or None
    read : reads the user's data
    score : what `accuracy` is on this task, and its unit
    calibrated : whether subnets have batch norms that need calibration data
    card : further facts: licence, source, how it was trained, published accuracies
    """

    name: str
    summary: str
    build: Callable[[], Supernet]
    preprocess: Prepared = field(default_factory=Preprocess)
    weights: Path | None = None
    data: Callable[[], dict[str, Any]] | None = None
    build_for: Callable[[Mapping[str, Tensor]], Supernet] | None = None
    read: Reader = read_images
    score: tuple[str, str] = ("top-1", "%")
    calibrated: bool = True
    card: dict[str, Any] = field(default_factory=dict)

    def load(self, checkpoint: Path | None = None) -> LoadedSupernet:
        """The supernet with weights: the user's file if given, else the shipped one."""
        path = checkpoint or self.weights
        if path is None:
            raise CheckpointError(
                f"supernet {self.name!r} ships no weights.",
                hint=f"Give a checkpoint file; {self.card.get('get', 'see its card')}.",
            )
        state = read_state(path)
        try:
            with Uninitialised():
                net = self.build_for(state) if self.build_for else self.build()
        except CheckpointError as error:
            raise CheckpointError(f"{str(path)!r}: {error.message}", hint=error.hint) from error
        except HwsearchError:
            raise
        except Exception as error:  # whatever code of the user's raises
            at = traceback.extract_tb(error.__traceback__)[-1]
            raise SupernetError(
                f"supernet {self.name!r} cannot be built: {type(error).__name__}: {error} ({at.filename}, line {at.lineno})."
            ) from error
        if not isinstance(net, Supernet):
            raise SupernetError(f"supernet {self.name!r}: build gives a {type(net).__name__}, not a Supernet.")
        load_weights(net, state, repr(str(path)), take=True)
        net.eval()
        return LoadedSupernet.of(self, net)

    def shape(self, state: Mapping[str, Tensor] | None = None) -> Supernet:
        """The network that these tensors call for, or the published one, without memory for its weights."""
        with torch.device("meta"):
            return self.build_for(state) if self.build_for and state is not None else self.build()

    def full_card(self) -> dict[str, Any]:
        """All facts, with those that follow from the network itself; no weights are read."""
        net = self.shape()
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

    @classmethod
    def of(cls, entry: SupernetEntry, net: Supernet) -> LoadedSupernet:
        """With the digest of the weights as they are now."""
        return cls(entry, net, digest(net, net.structure()))

    def balanced_cost(self, rows: np.ndarray) -> np.ndarray:
        """The cost that balanced sampling spreads over: MACs."""
        return self.net.macs_array(rows)


def load_supernet(name: str, checkpoint: str | None = None, sort: bool = False) -> LoadedSupernet:
    """The supernet of that name (`entry`) with the weights of a file, or its own; sort : channels by importance."""
    loaded = entry(name).load(Path(checkpoint) if checkpoint else None)
    if sort:
        loaded.net.sort_channels()
        loaded = LoadedSupernet.of(loaded.entry, loaded.net)
    return loaded


def names() -> list[str]:
    """Names of all supernets that can be loaded, ours and those of installed packages."""
    return sorted({*_built_in(), *(p.name for p in entry_points(group="hwsearch.supernets"))})


def entry(name: str) -> SupernetEntry:
    """The catalogue's entry of that name, or one of your own code: ``package.module:ENTRY`` or ``folder/file.py:ENTRY``.

    Raises `SupernetError` when there is none.
    """
    if ":" in name:
        return _entry_in_code(name)
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


def _entry_in_code(name: str) -> SupernetEntry:
    place, _, attribute = name.rpartition(":")
    try:
        if place.endswith(".py"):
            spec = spec_from_file_location(f"hwsearch_user_{Path(place).stem}", place)
            assert spec is not None and spec.loader is not None
            module = sys.modules[spec.name] = module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = import_module(place)
    except Exception as error:  # whatever that code raises
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f" ({at.filename}, line {at.lineno})" if at.filename.endswith(f"{Path(place).stem}.py") else ""
        raise SupernetError(
            f"supernet {name!r}: {place!r} cannot be imported: {type(error).__name__}: {error}{where}."
        ) from error
    found = getattr(module, attribute, None)
    if not isinstance(found, SupernetEntry):
        entries = [k for k, v in vars(module).items() if isinstance(v, SupernetEntry)]
        raise SupernetError(
            f"supernet {name!r}: {place!r} has no SupernetEntry {attribute!r}.", hint=nearest(attribute, entries)
        )
    return found


def _built_in() -> dict[str, SupernetEntry]:
    from hwsearch.supernets import attentivenas, bert, cifar10, hat, ofa, plain, vit

    entries = (
        cifar10.ENTRY,
        *(ofa.W10, ofa.W12, ofa.PROXYLESS, ofa.RESNET50D),
        *(attentivenas.ATTENTIVENAS, attentivenas.ALPHANET),
        *(plain.RESNET18, plain.RESNET50, plain.MOBILENET_V2),
        *(hat.ENTRY, bert.ENTRY, vit.B16, vit.B16_HALF),
    )
    return {e.name: e for e in entries}
