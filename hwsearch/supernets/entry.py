"""The catalogue: supernets by name, each with a card."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwsearch.errors import CheckpointError, HwsearchError, SupernetError
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import Uninitialised, digest, load_weights, read_state
from hwsearch.tasks import catalogue as tasks
from hwsearch.tasks.base import Task


@dataclass(frozen=True)
class SupernetEntry:
    """One supernet of the catalogue.

    build : makes the network of the published shape, weights not loaded
    build_for : makes the network that a file's tensors call for (another number of classes, another vocabulary)
    task : what the network is for, with its preprocessing; or the name of a task with its default one
    weights : the shipped weight file, or None when the user brings one
    data : gives the shipped examples ``calibration``, ``validation`` and ``test``, or None
    calibrated : whether subnets have batch norms that need calibration data
    card : further facts: licence, source, how it was trained, published accuracies
    """

    name: str
    summary: str
    build: Callable[[], Supernet]
    task: Task | str = "images"
    weights: Path | None = None
    data: Callable[[], dict[str, Any]] | None = None
    build_for: Callable[[Mapping[str, Tensor]], Supernet] | None = None
    calibrated: bool = True
    card: dict[str, Any] = field(default_factory=dict)

    def find_task(self) -> Task:
        """Find what the network is for; a new object where `task` is a name."""
        return tasks.find(self.task) if isinstance(self.task, str) else self.task

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
            "preprocess": self.find_task().preprocess.to_dict(),
            **self.card,
        }


@dataclass
class LoadedSupernet:
    """A supernet with weights and the entry it came from. digest : of the weights."""

    entry: SupernetEntry
    net: Supernet
    digest: str

    @cached_property
    def task(self) -> Task:
        """What the network is for."""
        return self.entry.find_task()

    @classmethod
    def of(cls, entry: SupernetEntry, net: Supernet) -> LoadedSupernet:
        """With the digest of the weights as they are now."""
        return cls(entry, net, digest(net, net.structure()))

    def balanced_cost(self, rows: np.ndarray) -> np.ndarray:
        """The cost that balanced sampling spreads over: MACs."""
        return self.net.macs_array(rows)
