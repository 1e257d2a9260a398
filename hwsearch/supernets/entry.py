"""One supernet of the catalogue: how it is built, what it is for, where its weights are."""

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

from hwsearch.errors import CheckpointError, HwsearchError, SupernetError, describe, foreign_code
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import Uninitialised, digest, load_weights, read_state
from hwsearch.supernets.weights.generated import restored
from hwsearch.tasks import catalogue as tasks
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data


@dataclass(frozen=True)
class SupernetEntry:
    """One supernet of the catalogue.

    Parameters
    ----------
    name : str
        The supernet's name.
    summary : str
        One line for lists.
    build : callable
        Makes the network of the published shape, weights not loaded.
    task : Task or str
        What the network is for, with its preprocessing; or the name of a task with its default preprocessing.
    weights : Path, optional
        The shipped weight file; None where the user brings one.
    data : callable, optional
        Gives the shipped examples ``calibration``, ``validation`` and ``test``.
    build_for : callable, optional
        Makes the network that a file's tensors call for (another number of classes, another vocabulary).
    build_for_data : callable, optional
        Makes the network that training examples call for (their number of classes), where weights are trained from random ones.
    calibrated : bool
        Whether subnets have batch norms that need calibration data.
    card : dict
        Further facts: licence, source, how it was trained, published accuracies.
    """

    name: str
    summary: str
    build: Callable[[], Supernet]
    task: Task | str = "images"
    weights: Path | None = None
    data: Callable[[], dict[str, Any]] | None = None
    build_for: Callable[[Mapping[str, Tensor]], Supernet] | None = None
    build_for_data: Callable[[Data], Supernet] | None = None
    calibrated: bool = True
    card: dict[str, Any] = field(default_factory=dict)

    def find_task(self) -> Task:
        """Find what the network is for.

        Returns
        -------
        Task
            The task; a new object where `task` is a name.

        Raises
        ------
        DataError
            If there is no task of that name.
        """
        return tasks.find(self.task) if isinstance(self.task, str) else self.task

    def load(self, checkpoint: Path | None = None) -> LoadedSupernet:
        """Load the supernet with weights.

        Parameters
        ----------
        checkpoint : Path, optional
            The user's weight file; the shipped one where none is given.

        Returns
        -------
        LoadedSupernet
            The supernet in evaluation mode.

        Raises
        ------
        CheckpointError
            If there are no weights, or they do not fit.
        SupernetError
            If the network cannot be built.
        """
        path = checkpoint or self.weights
        if path is None:
            raise CheckpointError(
                f"supernet {self.name!r} ships no weights.",
                hint=f"Give a checkpoint file; {self.card.get('get', 'see its card')}.",
            )
        state = read_state(path)
        try:
            with foreign_code(self._explain("cannot be built")), Uninitialised():
                net = self.build_for(state) if self.build_for else self.build()
        except CheckpointError as error:
            raise CheckpointError(f"{str(path)!r}: {error.message}", hint=error.hint) from error
        if not isinstance(net, Supernet):
            raise SupernetError(f"supernet {self.name!r}: build gives a {type(net).__name__}, not a Supernet.")
        net = restored(net, state, repr(str(path)))
        load_weights(net, state, repr(str(path)), take=True)
        net.eval()
        return LoadedSupernet.of(self, net)

    def shape(self, state: Mapping[str, Tensor] | None = None) -> Supernet:
        """Build the network without memory for its weights.

        Parameters
        ----------
        state : mapping of str to Tensor, optional
            Tensors of a weight file that call for a network of their own shape; the published one where none are given.

        Returns
        -------
        Supernet
            The network, on torch's device ``meta``.
        """
        with foreign_code(self._explain("cannot be built")), torch.device("meta"):
            net = self.build_for(state) if self.build_for and state is not None else self.build()
            return net if state is None else restored(net, state, "the file")

    def examples(self) -> dict[str, Any]:
        """Give the shipped examples.

        Returns
        -------
        dict of str to Data
            ``calibration``, ``validation`` and ``test``; empty where none are shipped.

        Raises
        ------
        SupernetError
            If the entry's own code fails to give them.
        """
        with foreign_code(self._explain("cannot give its data")):
            return self.data() if self.data else {}

    def _explain(self, what: str) -> Callable[[BaseException], HwsearchError]:
        """Explain what the entry's own code raises; errors that say enough stay as they are."""

        def explain(error: BaseException) -> HwsearchError:
            if isinstance(error, HwsearchError):
                return error
            at = traceback.extract_tb(error.__traceback__)[-1]
            return SupernetError(f"supernet {self.name!r} {what}: {describe(error)} ({at.filename}, line {at.lineno}).")

        return explain

    def full_card(self) -> dict[str, Any]:
        """Collect all facts, with those that follow from the network itself; no weights are read.

        Returns
        -------
        dict of str to object
            Name, size of the space, ranges of MACs and parameters, preprocessing, and what `card` holds.
        """
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
    """A supernet with weights and the entry it came from.

    Parameters
    ----------
    entry : SupernetEntry
        Its entry in the catalogue.
    net : Supernet
        The network with weights.
    digest : str
        Digest of the weights.
    """

    entry: SupernetEntry
    net: Supernet
    digest: str

    @cached_property
    def task(self) -> Task:
        """Task of the network."""
        return self.entry.find_task()

    @classmethod
    def of(cls, entry: SupernetEntry, net: Supernet) -> LoadedSupernet:
        """Join an entry and a network, with the digest of the weights as they are now.

        Parameters
        ----------
        entry : SupernetEntry
            The entry.
        net : Supernet
            The network with weights.

        Returns
        -------
        LoadedSupernet
            Both.
        """
        return cls(entry, net, digest(net, net.structure()))

    def balanced_cost(self, rows: np.ndarray) -> np.ndarray:
        """Compute the cost that balanced sampling spreads over: MACs.

        Parameters
        ----------
        rows : ndarray
            Rows of genes, shape ``(n, genes)``.

        Returns
        -------
        ndarray
            Costs, shape ``(n,)``.
        """
        return self.net.macs_array(rows)
