"""Train a supernet by a recipe on a data set; resumable, with a model card at the end."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import hwsearch
from hwsearch._files import check_no_input, check_place, json_with, overwriting, write_file
from hwsearch._json import JsonObject
from hwsearch.accuracy import subnet_score
from hwsearch.api.assembling import Maker, Pieces, check_assembling, missing_pieces
from hwsearch.api.cluster_incubation import ClusterIncubation, check_cluster, cluster_place
from hwsearch.api.incubation import Incubation, LocalIncubation
from hwsearch.api.processes import training_ranks
from hwsearch.devices import host_facts, versions
from hwsearch.devices.fleet.training_jobs import ClusterPlace
from hwsearch.devices.threads import compute_threads
from hwsearch.errors import MeasurementError, TrainingError
from hwsearch.store import utc_now
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import WEIGHTS, digest, save_weights
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.kernels import choose
from hwsearch.supernets.weights.generated import GeneratedSupernet
from hwsearch.tasks.data import NO_LIMIT, Data
from hwsearch.tasks.sources import find_source
from hwsearch.training import Run, Strategy, Trainer, TrainingConfig
from hwsearch.training.allocator import keep_freed_memory
from hwsearch.training.assembling import Admission
from hwsearch.training.compute_device import compute_device, describe
from hwsearch.training.ranges import SEED
from hwsearch.training.ranks import Ranks
from hwsearch.training.recipes import CARD_SUBNETS, DEFAULT_STRATEGY, load_recipe, recipe_stages
from hwsearch.training.strategies.assemble import Assemble
from hwsearch.training.trainer import assemble

log = logging.getLogger(__name__)

#: what a card says of a licence that the recipe does not name
NOT_STATED = "not stated"
#: recognises cards
CARD = json_with("training_summary")


def train(
    recipe: str | Path,
    data: Path | str,
    folder: Path | str,
    *,
    supernet: str | None = None,
    checkpoint: Path | str | None = None,
    kernels: str = "auto",
    device: str = "auto",
    processes: int = 1,
    module: int | None = None,
    scheduler: str | None = None,
    certificates: Path | str | None = None,
    insecure: bool = False,
    progress: Callable[[JsonObject], None] | None = None,
    force: bool = False,
) -> JsonObject:
    """Train a supernet by a recipe; the same call takes an interrupted run up again.

    Parameters
    ----------
    recipe : str or Path
        A recipe's name, or a TOML file.
    data : Path or str
        A data set with splits ``train`` and ``test``, as the supernet's task names them; for images a folder with the
        folders ``train`` and ``test`` (or ``val``) of class folders, or a parquet file with the columns ``split``, ``label`` and
        ``jpeg``.
    folder : Path or str
        Gets ``stage-N/training.pt`` (to resume from), ``NAME.safetensors`` and its card ``NAME.json``.
    supernet : str, optional
        What is trained in place of the recipe's supernet: a name of the catalogue, or ``file.py:ENTRY``, whose code is run.
    checkpoint : Path or str, optional
        Weights to start from; random ones by default.
    kernels : str, default "auto"
        What computes the steps: ``native``, compiled from C++ by the compiler of this machine; ``eager``, plain torch;
        ``auto``, the native ones where they can be had; ``triton``, programs for GPUs; or ``masked``, plain torch at full
        width with masks as data, of which a GPU can replay graphs (families MobileNetV3 and ResNet; slower than ``eager`` without a GPU). A run is resumed with the same ones, and as many threads.
    device : str, default "auto"
        Where the network is trained: ``cpu``; ``cuda``, a GPU, with several processes that of each one's number; ``cuda:N``, one
        by number; ``auto``, GPUs where there is one for each process of this host, else the processor. Batches are prepared,
        and subnets scored, on the processor. A run is resumed on a device of the same kind.
    processes : int, default 1
        Processes of this host that share each batch out; this one is the first, and starts the others. Under ``torchrun``
        leave it out: its environment variables say how many there are.
    module : int, optional
        Train this module of the strategy ``assemble`` only, from 1, or its meta network, 0, which must be finished before; so
        that other machines train the others, and the folders are copied together. By default all of them, as many at once as
        cores, and the rest of the recipe.
    scheduler : str, optional
        Address of a Dask scheduler, ``tls://HOST:8786``, whose workers with ``--training`` train the modules of the strategy
        ``assemble`` in place of processes of this host. Data and a ``file.py:ENTRY`` lie at the same paths there; all else is
        sent, and checkpoints are sent back to `folder`.
    certificates : Path or str, optional
        Folder that ``hwsearch cluster certs`` made, for the scheduler.
    insecure : bool
        Allow a ``tcp://`` address of this host as the scheduler's.
    progress : callable, optional
        Called with the state of the run every ten steps and after each epoch.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict of str to object
        The card; empty in all processes but the first, which alone measures and writes. With `module` what was trained, and
        the file that holds it.

    Raises
    ------
    ConfigError
        If the recipe is malformed, or has no stage that a scheduler's workers could train.
    DeviceError
        If the scheduler cannot be reached, is lost, or has no worker that trains.
    DataError
        If the data are missing or do not fit.
    SupernetError
        If `kernels` is none of these, or those asked for cannot be had.
    TrainingError
        If there is no such device, the folder holds another run, the training diverges, a strategy cannot serve the supernet or the
        task, a process ends or has something else than the others (`hwsearch.training.ranks.RankError`), or a module's process
        dies, its folder is of another run, or a worker has another version or not the data (`hwsearch.training.assembling.ModuleError`).
    """
    places = {"recipe": str(recipe), "data": str(data), "folder": str(folder)}
    weights = None if checkpoint is None else str(checkpoint)
    options = {"supernet": supernet, "checkpoint": weights, "kernels": kernels, "device": device, "module": module}
    cluster = cluster_place(scheduler, certificates, insecure=insecure)
    with training_ranks(processes, {**places, **options}) as ranks:
        return train_rank(
            ranks,
            str(recipe),
            str(data),
            str(folder),
            supernet=supernet,
            checkpoint=weights,
            kernels=kernels,
            device=device,
            module=module,
            cluster=cluster,
            progress=progress,
            force=force,
        )


def train_rank(
    ranks: Ranks,
    recipe: str,
    data: str,
    folder: str,
    *,
    supernet: str | None,
    checkpoint: str | None,
    kernels: str,
    device: str,
    module: int | None = None,
    cluster: ClusterPlace | None = None,
    admission: Admission | None = None,
    progress: Callable[[JsonObject], None] | None = None,
    force: bool = False,
) -> JsonObject:
    """Do one process's part of a training, as `train` describes it.

    Parameters
    ----------
    ranks : Ranks
        This process among those that train together.
    recipe, data, folder, supernet, checkpoint, kernels, device, module, progress, force
        As of `train`.
    cluster : ClusterPlace, optional
        Its workers train modules.
    admission : Admission, optional
        Compares the training of `module` with the one that another host has asked for.

    Returns
    -------
    dict of str to object
        The card; empty in all processes but the first; with `module` what was trained.
    """
    plan = load_recipe(recipe, supernet)
    entry = catalogue.entry(plan["supernet"])
    place = Path(folder)
    torch.set_num_threads(compute_threads(ranks.local))
    keep_freed_memory()
    where = compute_device(device, ranks.local_rank, ranks.local)
    chosen = choose(kernels, where.type)
    log.info("device: %s, kernels: %s, %d threads", describe(where), chosen, torch.get_num_threads())
    stages = recipe_stages(plan, recipe)
    check_assembling(stages, module, ranks, chosen, recipe, cluster=cluster is not None)
    given = {"recipe": recipe, "data": data, "folder": folder, "supernet": supernet, "checkpoint": checkpoint}
    given |= {"kernels": kernels, "device": device if cluster is None else where.type}
    if cluster is not None and missing_pieces(stages, place):
        check_cluster(cluster, given)
    classes = entry.examples()["test"].classes if entry.data else None
    task = entry.find_task()
    examples = task.read(task.split(data, "train"), limit=NO_LIMIT, classes=classes)
    classes = classes or examples.classes or None
    test = task.read(task.split(data, "test"), limit=NO_LIMIT, classes=classes)
    shuffled = np.random.default_rng(0).permutation(len(examples))  # folders are read class by class
    calibration, held_out = examples.take(shuffled[:1000]), test.head(2000)
    net = initial_supernet(
        entry, plan["supernet"], Path(checkpoint) if checkpoint else None, stages[0][1].seed, examples
    )
    net.check_data(examples, "training")
    net.check_data(test, "test")
    origin = digest(net) if checkpoint else ""
    net = _prepared(net, stages)
    net.to(where)
    for strategy, config in stages:
        _check(strategy, Run(net, task, examples, config, ranks=ranks))

    def maker(strategy: Strategy, config: TrainingConfig, where: Path, origin: str) -> Trainer:
        return Trainer(
            net,
            strategy,
            task,
            examples,
            config,
            where,
            calibration=calibration if entry.calibrated else None,
            validation=held_out,
            progress=progress,
            kernels=chosen,
            origin=origin,
            ranks=ranks,
        )

    if module is not None:
        ((number, only),) = _pieces(stages, place, maker).items()
        return only.only(module, origin if number == 1 else digest(net), admission)
    with overwriting(force):
        check_place(place / f"{entry.name}.json", CARD)
        check_place(place / f"{entry.name}.safetensors", WEIGHTS)
        check_no_input(place / f"{entry.name}.safetensors", checkpoint)

    def incubation(apart: dict[int, Trainer]) -> Incubation:
        if cluster is None:
            return LocalIncubation(apart, given, progress)
        return ClusterIncubation(apart, given, progress, place=cluster)

    trainers: list[Trainer] = []
    for number, (strategy, config) in enumerate(stages, 1):
        if pieces := _pieces(stages, place, maker).get(number):
            trainers += pieces.all(origin if number == 1 else digest(net), incubation)
            origin = digest(net)
            continue
        trainer = maker(strategy, config, place / f"stage-{number}", origin)
        trainer.run()
        trainers.append(trainer)
    if not ranks.writes:
        return {}
    with overwriting(force):
        few = calibration if entry.calibrated else None
        net.cpu()
        return write_card(net, entry, trainers, plan, few, test, place, processes=ranks.world)


def _pieces(stages: list[tuple[Strategy, TrainingConfig]], place: Path, maker: Maker) -> dict[int, Pieces]:
    """Find the stages that are trained in pieces, by number."""
    return {
        number: Pieces(strategy, config, place / f"stage-{number}", maker)
        for number, (strategy, config) in enumerate(stages, 1)
        if isinstance(strategy, Assemble)
    }


def _prepared(net: Supernet, stages: list[tuple[Strategy, TrainingConfig]]) -> Supernet:
    """Give the network that all stages train; the first one says which it is."""
    strategy, config = stages[0]
    net = strategy.prepare_supernet(net, config.seed)
    for number, (later, config) in enumerate(stages[1:], 2):
        if later.prepare_supernet(net, config.seed) is not net:
            raise TrainingError(
                f"the strategy of stage {number}, {type(later).__name__}, trains another network than the stages before.",
                hint="Begin with it; other strategies then train the same network on. Or train twice, with --checkpoint.",
            )
    return net


def _check(strategy: Strategy, run: Run) -> None:
    """Refuse a stage that cannot be served, before the first one is trained."""
    recipe = assemble(strategy, run)
    if recipe.view.extra is not None:
        raise TrainingError(
            f"the weights of strategy {type(strategy).__name__} are more than a weight file of a supernet holds.",
            hint="Use it from Python (hwsearch.training.Trainer), and cut subnets by its view's `materialise`.",
        )


def initial_supernet(
    entry: SupernetEntry, name: str, checkpoint: Path | None, seed: int, data: Data | None = None
) -> Supernet:
    """Make the supernet as it is before training; the weights of a user's own code are initialised by that code.

    Parameters
    ----------
    entry : SupernetEntry
        The supernet's entry.
    name : str
        Its name, or ``file.py:ENTRY``.
    checkpoint : Path or None
        Weights to start from.
    seed : int
        Seed of random weights.
    data : Data, optional
        Training examples, for families that build the network that these call for.

    Returns
    -------
    Supernet
        The supernet.

    Raises
    ------
    CheckpointError
        If the weights do not fit.
    TrainingError
        If `seed` is none.
    """
    if checkpoint is not None:
        return entry.load(checkpoint).net
    if not SEED.holds(seed):
        raise TrainingError(f"seed = {repr(seed)[:40]} is not valid: give {SEED}.")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = entry.build_for_data(data) if entry.build_for_data and data is not None else entry.build()
    if ":" not in name:
        init_weights(net, seed)
    return net


def _strategies(plan: JsonObject) -> str:
    """Name the strategies of a recipe, each once."""
    names = list(dict.fromkeys(stage.get("strategy", DEFAULT_STRATEGY) for stage in plan["stage"]))
    return f"{'strategy' if len(names) == 1 else 'strategies'} {', '.join(names)}"


def write_card(
    net: Supernet,
    entry: SupernetEntry,
    trainers: list[Trainer],
    plan: JsonObject,
    calibration: Data | None,
    test: Data,
    folder: Path,
    processes: int = 1,
) -> JsonObject:
    """Measure the smallest, the largest and random subnets on all test examples; write weights and card.

    Parameters
    ----------
    net : Supernet
        The trained supernet.
    entry : SupernetEntry
        Its entry.
    trainers : list of Trainer
        The stages of the training.
    plan : dict
        The recipe.
    calibration : Data or None
        Examples for the batch norms; None where there are none.
    test : Data
        Test examples.
    folder : Path
        Gets ``NAME.safetensors`` and ``NAME.json``.
    processes : int
        How many trained together.

    Returns
    -------
    dict of str to object
        The card.

    Raises
    ------
    TrainingError
        If a subnet cannot be scored, as its outputs are not finite.
    """
    net.eval()
    task = trainers[0].task
    space = net.space
    rng = np.random.default_rng(2024)
    archs = [space.smallest(), space.largest(), *space.sample(CARD_SUBNETS, rng)]
    try:
        measured = [(a, subnet_score(task, net, a, calibration, test)) for a in archs]
    except MeasurementError as error:
        raise TrainingError(
            f"the training is done, but its subnets cannot be scored on {test.name!r}: {error.message.rstrip('.')}; the "
            f"checkpoints in {str(folder)!r} are kept.",
            hint="Lower lr, or start from another seed, in another folder.",
        ) from error
    row = lambda a, acc: {  # noqa: E731
        "arch_id": a.id,
        task.score_field: round(acc.value, 2),
        "standard_error": round(acc.standard_error, 2),
        "macs": net.macs(a),
        "params": net.params(a),
    }
    source = find_source(plan["data_set"]) if "data_set" in plan else None
    seconds = sum(t.seconds for t in trainers)
    epochs = sum(t.config.epochs if t.config.steps is None else t.total_steps / t.plan.per_epoch for t in trainers)
    card = {
        "training_summary": (
            f"{round(epochs, 1):g} epochs of {len(trainers[0].train_data):,} {task.examples}, {_strategies(plan)}, "
            f"{seconds / 60:.0f} minutes on {processes * torch.get_num_threads()} CPU cores"
        ),
        "trained": {
            **plan,
            "seconds": round(seconds, 1),
            "kernels": trainers[0].kernels_said,
            "device": trainers[0].device_said,
            "threads": torch.get_num_threads(),
            "processes": processes,
            "host": host_facts(),
            "versions": {"hwsearch": hwsearch.__version__, **versions("torch", "numpy")},
            "finished_at": utc_now(),
            "history": [t.history for t in trainers],
        },
        f"test_{task.examples}": len(test),
        "score": {"name": task.score_name, "unit": task.score_unit, "field": task.score_field},
        "smallest": row(*measured[0]),
        "largest": row(*measured[1]),
        "random_subnets": [row(*m) for m in measured[2:]],
        "licence": f"{plan.get('weights_licence', NOT_STATED)} (weights); {task.examples}: {source.licence if source else NOT_STATED}",
        "data_source": source.describe() if source else test.name,
        "digest": digest(net),
    }
    if isinstance(net, GeneratedSupernet):
        card["generator"] = net.card.to_dict()
    save_weights(net, folder / f"{entry.name}.safetensors", {"supernet": entry.name, "digest": digest(net)})
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    write_file(folder / f"{entry.name}.json", text.encode(), CARD)
    return card
