"""Add tasks to one backbone without changing those it has, and export them one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch

import hwsearch
from hwsearch._files import check_place, overwriting
from hwsearch._json import JsonObject
from hwsearch.api.training import initial_supernet
from hwsearch.devices.threads import compute_threads
from hwsearch.errors import CheckpointError, DataError, SupernetError, TrainingError
from hwsearch.exporters import lower, verify, write_bundle
from hwsearch.exporters.bundle import IS_CARD, IS_MODEL
from hwsearch.spaces import Architecture
from hwsearch.store import utc_now
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import digest
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.supermasks import MaskedNetwork, signed_constants
from hwsearch.supernets.task_bank import TaskBank, read_index
from hwsearch.tasks.base import Task
from hwsearch.tasks.classification import ClassificationTask
from hwsearch.tasks.data import NO_LIMIT, Data
from hwsearch.training.allocator import keep_freed_memory
from hwsearch.training.checkpoint import differences, only_run
from hwsearch.training.task_training import SupermaskConfig, TaskTraining


def add_task(
    supernet: str,
    data: Path | str,
    folder: Path | str,
    task: str,
    *,
    density: float = 0.1,
    checkpoint: Path | str | None = None,
    epochs: int = 20,
    steps: int | None = None,
    weight_share: float = 0.5,
    batch: int = 64,
    lr: float = 0.01,
    weight_lr: float = 0.001,
    weight_decay: float = 0.0,
    padding: int = 4,
    transfer: bool = True,
    seed: int = 0,
    progress: Callable[[JsonObject], None] | None = None,
    force: bool = False,
) -> JsonObject:
    """Add a task to a backbone whose earlier tasks stay as they are, to the bit: supermasks and exclusive weight training.

    The backbone is the supernet's largest subnet. A task gets a mask over its weights, batch norm statistics of its own, and a
    classifier of its own where its number of classes is not the backbone's. After the mask, those weights under it are trained
    that no earlier task uses. The same call takes an interrupted training up again, and gives back what is known of a task
    that is there.

    Parameters
    ----------
    supernet : str
        A name of the catalogue, or ``file.py:ENTRY``, whose code is run: a classifier that ends in a linear layer.
    data : Path or str
        A data set with splits ``train`` and ``test``, as `hwsearch.train` takes it. Its classes are the task's.
    folder : Path or str
        The backbone's folder; made by the first task. Holds ``backbone.json``, one weight file, and ``tasks/TASK.safetensors``.
    task : str
        Name of the new task: letters, digits, ``.``, ``_`` and ``-``.
    density : float
        Share of each layer's weights that the task uses.
    checkpoint : Path or str, optional
        For the first task: weights of the backbone. By default random signs of one magnitude a layer.
    epochs : int
        Passes over the training examples, for mask and weights together.
    steps : int, optional
        Steps of the whole training, in place of `epochs`.
    weight_share : float
        Share of the steps that train weights; 0 trains the mask alone (SupSup).
    batch : int
        Examples a step.
    lr, weight_lr : float
        Peak learning rates of Adam for the mask's scores, and for weights.
    weight_decay : float
        Decoupled decay of the weights that are trained.
    padding : int
        Images: zero padding of the random crop, in pixels.
    transfer : bool
        Start from the earlier mask whose features suit the data best by nearest neighbours, if it is above chance.
    seed : int
        Seed of all randomness; for the first task, also of the backbone's weights.
    progress : callable, optional
        Called with the state of the training every ten steps.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict of str to object
        What is known of the task: ``classes``, ``score``, ``density``, ``trained`` (share of its weights that were free to
        train), ``free`` (share of the backbone's weights that no task uses), ``transfer``, and of all the folder's ``tasks`` the names.

    Raises
    ------
    TrainingError
        If the task is there with other classes or settings, the supernet is for no classification, the training diverges,
        or another process trains in the folder.
    CheckpointError
        If the folder has a backbone of another supernet or of other weights, or masks of another backbone.
    SupernetError
        If there is no such supernet, or it does not end in a linear classifier.
    DataError
        If the data are missing or do not fit.
    ConfigError
        If no task can have this name.

    References
    ----------
    Yadav and Bansal, "Exclusive supermask subnetwork training for continual learning", 2022, arXiv 2210.10209; Wortsman et
    al., "Supermasks in superposition", 2020, arXiv 2006.14769.

    Examples
    --------
    >>> import hwsearch
    >>> found = hwsearch.add_task("resnet18", "birds", "runs/many", "birds", density=0.05)  # doctest: +SKIP
    >>> found["score"]["top1_percent"]  # doctest: +SKIP
    """
    entry, kind = _classifier(supernet)
    torch.set_num_threads(compute_threads())
    keep_freed_memory()
    place = Path(folder)
    examples = kind.read(kind.split(str(data), "train"), limit=NO_LIMIT)
    test = kind.read(kind.split(str(data), "test"), limit=NO_LIMIT, classes=examples.classes)
    if len(examples.classes) < 2:
        raise DataError(
            f"the training data {examples.name!r} have {len(examples.classes)} class.", hint="Two or more are needed."
        )
    net, arch, bank = _open(entry, supernet, place, Path(checkpoint) if checkpoint else None, seed)
    size = net.input_size(arch)
    per_epoch = max(1, len(examples) // batch)
    config = SupermaskConfig(
        steps=epochs * per_epoch if steps is None else steps,
        density=density,
        weight_share=weight_share,
        batch=batch,
        lr=lr,
        weight_lr=weight_lr,
        weight_decay=weight_decay,
        padding=padding,
        transfer=transfer,
        seed=seed,
    )
    bank.file(task)  # its name
    settings = {"config": config.identity(), "data": examples.digest}
    if (row := bank.row(task)) is not None:
        _same(row, examples, settings, place)
        bank.load(task)
        return row | {"tasks": [r["name"] for r in bank.rows]}
    _check_inputs(bank.network, examples, size)
    with overwriting(force), only_run(place):
        if (read_index(place) or {"tasks": []})["tasks"] != bank.rows:
            raise TrainingError(f"another process has added a task to {str(place)!r} meanwhile.", hint="Try again.")
        bank.check_place(task)
        earlier = {r["name"]: bank.load(r["name"]) for r in bank.rows}
        state = place / "training" / f"{task}.pt"
        training = TaskTraining(
            bank.network,
            task,
            kind,
            examples,
            size,
            config,
            earlier=earlier,
            checkpoint=state,
            progress=progress,
        )
        network, masked = training.run()
        score = kind.evaluate(network.cut(masked), test, size)
        used = network.taken([*earlier.values(), masked])
        total = sum(m.numel() for m in used.values())
        found = training.transfer
        facts = {
            "score": {
                "name": kind.score_name,
                kind.score_field: round(score.value, 3),
                "standard_error": round(score.standard_error, 3),
                kind.examples: score.n,
                "data": test.name,
            },
            "density": sum(int(m.sum()) for m in masked.masks.values()) / total,
            "own_head": bool(masked.head),
            "trained": round(training.trained, 6) if config.mask_steps < config.steps else 0.0,
            "free": round(1 - sum(int(m.sum()) for m in used.values()) / total, 6),
            "transfer": {
                "from": found.best if found else "",
                "accuracy": round(found.accuracies.get(found.best, 0.0), 4) if found else 0.0,
                "chance": round(found.chance, 4) if found else 1.0,
            },
            "steps": training.step,
            "seconds": round(training.seconds, 1),
            "settings": settings,
            "version": hwsearch.__version__,
            "added_at": utc_now(),
        }
        row = bank.commit(network, masked, facts)
        state.unlink(missing_ok=True)
    return row | {"tasks": [r["name"] for r in bank.rows]}


def export_task(
    supernet: str, folder: Path | str, task: str, *, output: Path | str | None = None, force: bool = False
) -> JsonObject:
    """Export one task of a backbone as a plain network: ONNX file and card.

    Parameters
    ----------
    supernet : str
        The supernet that the tasks were added to.
    folder : Path or str
        The backbone's folder.
    task : str
        Name of the task.
    output : Path or str, optional
        The ONNX file; ``TASK.onnx`` in the folder by default. Its card lies beside it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict of str to object
        The card, with the ``path``.

    Raises
    ------
    CheckpointError
        If the folder has no such task, or it is of another backbone, or damaged.
    ExportError
        If ONNX Runtime and torch differ by more than 1e-5 of the largest output.
    SupernetError
        If there is no such supernet.
    OutputError
        If a file is there that hwsearch did not write.

    Examples
    --------
    >>> import hwsearch
    >>> hwsearch.export_task("resnet18", "runs/many", "birds")["path"]  # doctest: +SKIP
    """
    entry, kind = _classifier(supernet)
    place = Path(folder)
    if read_index(place) is None:
        raise CheckpointError(f"{str(place)!r} has no tasks.", hint="Add one by 'hwsearch add-task'.")
    net, arch, bank = _open(entry, supernet, place, None, 0)
    masked = bank.load(task)
    row = bank.row(task)
    assert row is not None
    cut = bank.network.cut(masked)
    path = Path(output) if output is not None else place / f"{task}.onnx"
    with overwriting(force):
        check_place(path, IS_MODEL)
        check_place(path.with_suffix(".json"), IS_CARD)
        parts = [
            (p, lower(p.net, p.inputs, outputs=p.outputs, output_axes=p.output_axes)) for p in net.parts(arch, cut)
        ]
        given = torch.randn((8, *net.input_shape(arch)), generator=torch.Generator().manual_seed(0))
        difference = verify(parts[0][1], cut, given, tolerance=1e-5)
        card = {
            "task": row,
            "classes": list(masked.classes),
            "backbone": {"supernet": entry.name, "start": bank.about["start"]},
            "preprocess": kind.preprocess.to_dict() if hasattr(kind, "preprocess") else {},
            "difference_from_torch": difference,
            "written_at": utc_now(),
        }
        return write_bundle(path, parts, card) | {"path": str(path)}


def _classifier(supernet: str) -> tuple[SupernetEntry, Task]:
    """Find the supernet and its task, which must be a classification."""
    entry = catalogue.entry(supernet)
    kind = entry.find_task()
    if not isinstance(kind, ClassificationTask):
        raise TrainingError(
            f"supernet {entry.name!r} is for {kind.name}, which is no classification.",
            hint="Tasks of one backbone differ in their classes.",
        )
    return entry, kind


def _open(
    entry: SupernetEntry, supernet: str, place: Path, checkpoint: Path | None, seed: int
) -> tuple[Supernet, Architecture, TaskBank]:
    """Build the backbone, with the folder's weights where it has any."""
    index = read_index(place)
    net = initial_supernet(entry, supernet, checkpoint, seed)
    arch = net.space.largest()
    plain = net.subnet(arch)
    if len(net.parts(arch, plain)) != 1:
        raise SupernetError(f"supernet {entry.name!r} is deployed in several parts, over which no mask can lie.")
    if checkpoint is None:
        signed_constants(plain)
    start = digest(plain)
    if index is not None and checkpoint is not None and index["backbone"]["start"] != start:
        raise CheckpointError(
            f"{str(place)!r} has a backbone that started from other weights than {str(checkpoint)!r}.",
            hint="Leave checkpoint out, or use another folder.",
        )
    # the file may have brought another number of classes than the entry has; all other shapes are compared with the weights
    code = net.structure().replace(f"out_features={net.classes},", "out_features=classes,")
    structure = hashlib.sha256(code.encode()).hexdigest()[:12]
    about = {"supernet": entry.name, "space": net.space.name, "structure": structure, "start": start}
    return net, arch, TaskBank(place, MaskedNetwork(plain, net.classes), about)


def _same(row: JsonObject, examples: Data, settings: JsonObject, place: Path) -> None:
    """Refuse a task that is there with other classes, data or settings."""
    name = row["name"]
    if list(examples.classes) != row["classes"]:
        raise TrainingError(
            f"task {name!r} of {str(place)!r} has {len(row['classes'])} classes ({_few(row['classes'])}), and the data "
            f"{examples.name!r} have {len(examples.classes)} ({_few(examples.classes)}).",
            hint="Add them as a task of another name.",
        )
    if changed := differences(row["settings"], settings):
        raise TrainingError(
            f"{str(place)!r} has a task {name!r} of other settings ({'; '.join(changed)}).",
            hint="Give the new task another name.",
        )


def _few(classes: list[str] | tuple[str, ...]) -> str:
    return ", ".join(classes[:4]) + (", …" if len(classes) > 4 else "")


@torch.no_grad()
def _check_inputs(network: MaskedNetwork, examples: Data, size: int) -> None:
    """Check on two examples that the network takes such inputs."""
    inputs, _ = next(examples.head(2).batches(size, 2))
    try:
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        fits = bool(torch.isfinite(network.net(*given)).all())
    except (RuntimeError, TypeError, IndexError) as error:
        raise DataError(f"the network cannot take the training data {examples.name!r}: {error}.") from error
    if not fits:
        raise DataError(f"the outputs of the backbone on {examples.name!r} are not finite.", hint="Check the weights.")
