"""Add tasks to one backbone without changing those it has, and export them one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hwsearch._files import overwriting
from hwsearch._json import JsonObject
from hwsearch.api.backbone import NewTask, classifier, open_backbone, prepare_training, task_examples, task_steps
from hwsearch.api.training import initial_supernet
from hwsearch.errors import CheckpointError
from hwsearch.supernets import catalogue
from hwsearch.supernets.task_bank import read_index
from hwsearch.training.task_training import SupermaskConfig


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
    entry = catalogue.entry(supernet)
    kind = classifier(entry)
    prepare_training()
    place = Path(folder)
    examples, test = task_examples(kind, str(data))
    config = SupermaskConfig(
        steps=task_steps(len(examples), epochs, steps, batch),
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
    net = initial_supernet(entry, supernet, Path(checkpoint) if checkpoint else None, seed)
    given = repr(str(checkpoint)) if checkpoint else ""
    backbone = open_backbone(entry, net, kind, place, given=given, hint="Leave checkpoint out, or use another folder.")
    new = NewTask(task, examples, test, config)
    with overwriting(force):
        row = backbone.known(new) or backbone.add(new, progress)
    return row | {"tasks": [r["name"] for r in backbone.bank.rows]}


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
    entry = catalogue.entry(supernet)
    kind = classifier(entry)
    place = Path(folder)
    if read_index(place) is None:
        raise CheckpointError(f"{str(place)!r} has no tasks.", hint="Add one by 'hwsearch add-task'.")
    backbone = open_backbone(entry, initial_supernet(entry, supernet, None, 0), kind, place)
    with overwriting(force):
        return backbone.export(task, Path(output) if output is not None else place / f"{task}.onnx")
