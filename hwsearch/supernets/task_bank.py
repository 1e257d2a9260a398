"""The folder of a backbone and its tasks: one weight file, and one bit a weight a task."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hwsearch._files import check_place, json_with, own_folder, write_file
from hwsearch._json import JsonObject
from hwsearch.errors import CheckpointError, ConfigError
from hwsearch.supernets.checkpoint import WEIGHTS, save_weights, write_safetensors
from hwsearch.supernets.supermasks import MaskedNetwork, MaskedTask

#: the list of tasks; whatever it does not name does not count
INDEX = "backbone.json"
IS_INDEX = json_with("backbone", "tasks")
#: names of tasks, which are also those of files
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TaskBank:
    """Tasks of one backbone, in a folder.

    ``backbone.json`` is replaced last, so that a process that is killed anywhere leaves the state before.

    Parameters
    ----------
    folder : Path
        The folder.
    network : MaskedNetwork
        The backbone; where the folder has one, its weights are replaced by those of the folder.
    about : dict
        What tells the backbone: ``supernet``, ``space``, ``structure``, and ``start``, the digest of its first weights.

    Attributes
    ----------
    rows : list of dict
        What is known of each task, in the order in which they were added.

    Raises
    ------
    CheckpointError
        If the folder's files cannot be read, or are of another network.
    """

    def __init__(self, folder: Path, network: MaskedNetwork, about: Mapping[str, str]) -> None:
        self.folder, self.network, self.about = folder, network, dict(about)
        self.rows: list[JsonObject] = []
        self.generation = 0
        self._loaded: dict[str, MaskedTask] = {}
        if index := read_index(folder):
            self._take(index)

    def _take(self, index: JsonObject) -> None:
        backbone = index["backbone"]
        for what in ("supernet", "space", "structure"):
            if backbone.get(what) != self.about.get(what):
                told = "layers with digest" if what == "structure" else what
                raise CheckpointError(
                    f"{str(self.folder)!r} has a backbone of {told} {backbone.get(what)!r}, and the one given has "
                    f"{self.about.get(what)!r}.",
                    hint="Give the supernet that its tasks were added to.",
                )
        self.about["start"] = str(backbone["start"])
        self.rows, self.generation = list(index["tasks"]), int(backbone["generation"])
        state = _tensors(self.weights)
        net = self.network.net
        if (rows := state.get(self.network.head_weight)) is not None and len(rows) != self.network.classes:
            old = net.get_submodule(self.network.head)
            assert isinstance(old, nn.Linear)
            net.set_submodule(self.network.head, nn.Linear(old.in_features, len(rows), bias=old.bias is not None))
            self.network = MaskedNetwork(net, len(rows))
        expected = {k: v.shape for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
        if {k: v.shape for k, v in state.items()} != expected:
            raise CheckpointError(
                f"{str(self.weights)!r} holds other tensors than the network has.",
                hint="Give the supernet that its tasks were added to.",
            )
        net.load_state_dict(state, strict=False)

    @property
    def weights(self) -> Path:
        """The weight file."""
        return self.folder / f"weights-{self.generation}.safetensors"

    def file(self, name: str) -> Path:
        """Tell where a task's masks lie.

        Parameters
        ----------
        name : str
            The task.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ConfigError
            If no task can have this name.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no name of a task.", hint="Letters, digits, '.', '_' and '-', 64 at most, no sign first."
            )
        return self.folder / "tasks" / f"{name}.safetensors"

    def row(self, name: str) -> JsonObject | None:
        """Look a task up.

        Parameters
        ----------
        name : str
            The task.

        Returns
        -------
        dict or None
            What is known of it; None if there is none of this name.
        """
        return next((r for r in self.rows if r["name"] == name), None)

    def load(self, name: str) -> MaskedTask:
        """Read a task, and check that its network is the one that was trained.

        Parameters
        ----------
        name : str
            The task.

        Returns
        -------
        MaskedTask
            Its masks, statistics and head.

        Raises
        ------
        CheckpointError
            If there is none of this name, or it is of another backbone, or damaged.
        """
        row = self.row(name)
        if row is None:
            known = ", ".join(r["name"] for r in self.rows) or "none"
            raise CheckpointError(f"{str(self.folder)!r} has no task {name!r}; it has: {known}.")
        if name in self._loaded:
            return self._loaded[name]
        path = self.file(name)
        state = _tensors(path)
        if "mask" not in state or "statistics" not in state:
            raise CheckpointError(f"{str(path)!r} holds no masks of a task.")
        own = self.network.statistics
        sizes = [self.network.net.get_buffer(n).numel() for n in own]
        if state["statistics"].shape != (sum(sizes),):
            raise CheckpointError(f"{str(path)!r} has {state['statistics'].numel()} statistics, not {sum(sizes)}.")
        head = {k.removeprefix("head."): v for k, v in state.items() if k.startswith("head.")}
        masks = self.network.unpack(state["mask"], name)
        statistics = dict(zip(own, state["statistics"].split(sizes), strict=True))
        task = MaskedTask(name, tuple(row["classes"]), masks, statistics, head, str(row["digest"]))
        self.network.check(task)
        self._loaded[name] = task
        return task

    def check_place(self, name: str) -> None:
        """Check that all files of a new task may be written, before anything is.

        Parameters
        ----------
        name : str
            The task.

        Raises
        ------
        OutputError
            If there is a link, or something that this program did not write.
        ConfigError
            If no task can have this name.
        """
        self._check_places(name, 1)

    def _check_places(self, name: str, ahead: int = 0) -> None:
        check_place(self.folder / INDEX, IS_INDEX)
        check_place(self.folder / f"weights-{self.generation + ahead}.safetensors", WEIGHTS)
        check_place(self.file(name), WEIGHTS)

    def commit(self, network: MaskedNetwork, task: MaskedTask, row: JsonObject) -> JsonObject:
        """Add a task, with the weights that its training left; the state before stays until all is written.

        Parameters
        ----------
        network : MaskedNetwork
            The backbone after the training.
        task : MaskedTask
            The new task.
        row : dict
            What is known of it.

        Returns
        -------
        dict
            The task's row, as it stands in ``backbone.json``.

        Raises
        ------
        CheckpointError
            If the network of any task would change by a bit, this one's included; nothing is written then.
        OutputError
            If a file cannot be written where there is one that this program did not write.
        """
        self._prove(network)
        task = dataclasses.replace(task, digest=network.digest(task))
        full = {"name": task.name, "classes": list(task.classes), "digest": task.digest, **row}
        before, self.generation = self.generation, self.generation + 1
        try:
            self._check_places(task.name)
            own_folder(self.folder / "tasks")
            save_weights(network.net, self.weights, {"digest": task.digest})
            state = {"mask": network.pack(task.masks)}
            parts = [task.statistics[n].reshape(-1) for n in network.statistics]
            state["statistics"] = torch.cat(parts) if parts else torch.zeros(0)
            state |= {f"head.{k}": v for k, v in task.head.items()}
            write_safetensors(state, self.file(task.name), {"digest": task.digest})
            backbone = {**self.about, "generation": self.generation, "outputs": network.classes}
            write_file(self.folder / INDEX, _text(backbone, [*self.rows, full]), IS_INDEX)
        except BaseException:
            self.generation = before
            raise
        self.rows.append(full)
        self.network, self._loaded[task.name] = network, task
        if before:
            (self.folder / f"weights-{before}.safetensors").unlink(missing_ok=True)
        return full

    def _prove(self, network: MaskedNetwork) -> None:
        """Refuse weights under which any task's network would differ by a bit from the one that was trained."""
        tasks = [
            self.load(r["name"]) for r in self.rows
        ]  # each has the digest of its network under the weights as they are
        old, new = self.network.net.state_dict(), network.net.state_dict()
        taken = network.taken(tasks)
        own = {*network.statistics, *(n for n in old if n.endswith("num_batches_tracked"))}
        for name in old.keys() - own if tasks else ():
            a, b = (state[name].contiguous().view(torch.int32) for state in (old, new))
            if not torch.equal(*((x[taken[name]] if name in taken else x) for x in (a, b))):
                raise CheckpointError(
                    f"weights {name!r} that tasks of {str(self.folder)!r} use would change; nothing is written."
                )


def _text(backbone: JsonObject, rows: list[JsonObject]) -> bytes:
    """Write the list, a line a task."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return f'{{"backbone": {json.dumps(backbone, ensure_ascii=False)},\n"tasks": [\n{lines}\n]}}\n'.encode()


def read_index(folder: Path) -> JsonObject | None:
    """Read the list of a folder's tasks.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    dict or None
        ``backbone`` and ``tasks``; None where the folder has no backbone yet.

    Raises
    ------
    CheckpointError
        If the list cannot be read.
    """
    path = folder / INDEX
    if not path.exists():
        return None
    try:
        found: JsonObject = json.loads(path.read_text(encoding="utf-8"))
        backbone, rows = found["backbone"], found["tasks"]
        sound = (
            type(backbone["generation"]) is int and backbone["generation"] > 0 and isinstance(backbone["start"], str)
        )
        sound &= len({row["name"] for row in rows}) == len(rows)
        for row in rows:
            sound &= bool(NAME.fullmatch(row["name"])) and isinstance(row["digest"], str)
            sound &= isinstance(row["classes"], list) and all(isinstance(c, str) for c in row["classes"])
    except Exception as error:  # a file of anything
        raise CheckpointError(f"the list of tasks {str(path)!r} cannot be read: {error}.") from error
    if not sound:
        raise CheckpointError(f"the list of tasks {str(path)!r} is damaged.")
    return found


def _tensors(path: Path) -> dict[str, Tensor]:
    """Read a file of this folder, with the names as they are in it."""
    if not path.is_file():
        raise CheckpointError(f"there is no file {str(path)!r}, of which {INDEX} knows.")
    try:
        found: dict[str, Tensor] = load_file(path)
    except Exception as error:  # whatever a damaged file makes it say
        raise CheckpointError(f"{str(path)!r} is truncated or damaged: {error}.") from error
    return found
