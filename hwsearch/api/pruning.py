"""Prune a network to one limit in one training run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import hwsearch
from hwsearch._files import check_no_input, check_place, overwriting, own_folder
from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray, IntArray
from hwsearch.accuracy import recalibrate
from hwsearch.api.training import initial_supernet
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.operator_costs import operator_cost
from hwsearch.devices.threads import compute_threads
from hwsearch.errors import CampaignError, ConfigError, LimitError
from hwsearch.exporters import lower, verify, write_bundle
from hwsearch.exporters.bundle import IS_CARD, IS_MODEL
from hwsearch.objectives import parse_limit
from hwsearch.objectives.limit import Limit
from hwsearch.spaces import Architecture
from hwsearch.store import utc_now
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import WEIGHTS, digest, save_weights
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import NO_LIMIT, Data
from hwsearch.training import Trainer, TrainingConfig
from hwsearch.training.allocator import keep_freed_memory
from hwsearch.training.pruning import FREEZE, IS_FREEZE, Pruned, prune_network
from hwsearch.training.strategies.consensus import Consensus

log = logging.getLogger(__name__)

#: files of the result
NAME = "pruned"
#: metrics that can be limited
METRICS = ("macs", "params", "latency_ms")


def prune(
    supernet: str,
    data: Path | str,
    folder: Path | str,
    limit: str,
    *,
    checkpoint: Path | str | None = None,
    campaign: Path | str | None = None,
    device: str | None = None,
    epochs: int = 30,
    steps: int | None = None,
    batch: int = 128,
    lr: float = 0.1,
    padding: int = 4,
    polarization: float = 8.0,
    seed: int = 0,
    progress: Callable[[JsonObject], None] | None = None,
    trust: bool = False,
    force: bool = False,
) -> JsonObject:
    """Prune a network in one training run: gates on blocks and channels, polarised until all examples agree.

    The same call takes an interrupted run up again. The result is an architecture of the network's search space with its
    weights; ``[search] warm_start`` of a campaign takes the card as a starting point.

    Parameters
    ----------
    supernet : str
        A name of the catalogue, or ``file.py:ENTRY``, whose code is run. Its depths and widths are pruned; other genes keep
        their largest values.
    data : Path or str
        A data set with splits ``train`` and ``test``, as `hwsearch.train` takes it.
    folder : Path or str
        Gets ``pruned.onnx`` with its card ``pruned.json``, ``pruned.safetensors`` with the weights of the whole network, and
        the state of the run.
    limit : str
        One upper limit: ``macs<=50 %``, ``params<=2e6``, or ``latency_ms<=2`` by the operator table of `device`.
    checkpoint : Path or str, optional
        Weights to start from; random ones by default.
    campaign : Path or str, optional
        For a limit on the latency: a campaign on the same search space, whose store has the operator table.
    device : str, optional
        A device of that campaign; the only one by default.
    epochs : int
        Passes over the training examples.
    steps : int, optional
        Steps of the whole run, in place of `epochs`.
    batch : int
        Examples a step.
    lr : float
        Peak learning rate of SGD.
    padding : int
        Images: zero padding of the random crop, in pixels.
    polarization : float
        Weight of the polarization; 0 turns it off.
    seed : int
        Seed of all randomness.
    progress : callable, optional
        Called with the state of the run every ten steps and after each epoch.
    trust : bool
        Execute what the campaign names even if another user wrote it, see SECURITY.md.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict of str to object
        The card: ``architecture``, ``pruning`` (limit, cost, disagreement of the gates, scores before and after freezing),
        ``score`` on the test examples, ``path``, ``weights``.

    Raises
    ------
    LimitError
        If no gates can meet the limit (it says the least possible), or it is no single upper limit.
    TrainingError
        If no depth or width can be gated, the folder holds another run, or the training diverges.
    SupernetError
        If there is no such supernet, or its family has no gates.
    DeviceError
        If the device has no operator table.
    CampaignError
        If a latency is limited without a campaign, or the campaign has another search space.
    DataError
        If the data are missing or do not fit.

    References
    ----------
    Zhi, Babbar, Liu, Sun, Silavong, Shi, Moran, "Learning a consensus sub-network with polarization regularization and one
    pass training", 2023, arXiv 2302.10798.

    Examples
    --------
    >>> import hwsearch
    >>> found = hwsearch.prune("resnet18", "images", "runs/pruned", "macs<=50 %")  # doctest: +SKIP
    >>> found["pruning"]["disagreement"]  # doctest: +SKIP
    """
    metric, bound = _limit(limit)
    config = TrainingConfig(
        epochs=epochs, steps=steps, batch=batch, lr=lr, padding=padding, seed=seed, checkpoint_steps=50
    )
    entry = catalogue.entry(supernet)
    entry.shape().gate_sites()  # a family without any is refused before data are read
    task = entry.find_task()
    torch.set_num_threads(compute_threads())
    keep_freed_memory()
    classes = entry.examples()["test"].classes if entry.data else None
    examples = task.read(task.split(str(data), "train"), limit=NO_LIMIT, classes=classes)
    classes = classes or examples.classes or None
    test = task.read(task.split(str(data), "test"), limit=NO_LIMIT, classes=classes)
    net = initial_supernet(entry, supernet, Path(checkpoint) if checkpoint else None, seed)
    net.check_data(examples, "training")
    net.check_data(test, "test")
    cost, table = _cost(net, metric, campaign, device, trust=trust)
    largest = float(cost(net.space.to_array([net.space.largest()]))[0])
    wanted = bound.resolve(largest).value
    if wanted <= 0:
        raise LimitError(
            f"the limit {limit!r} is not above 0.", hint="Write a positive number, or a share such as '50 %'."
        )
    strategy = Consensus(limit=wanted, metric=metric, polarization=polarization).use_cost(cost)
    place = Path(folder)
    origin = digest(net) if checkpoint else ""
    with overwriting(force):
        own_folder(place)
        check_no_input(place / f"{NAME}.safetensors", checkpoint)
        for name, ours in ((f"{NAME}.onnx", IS_MODEL), (f"{NAME}.json", IS_CARD), (f"{NAME}.safetensors", WEIGHTS)):
            check_place(place / name, ours)
        check_place(place / "training" / FREEZE, IS_FREEZE)
        trainer = Trainer(net, strategy, task, examples, config, place / "training", progress=progress, origin=origin)
        found = prune_network(trainer, test)
        calibration = examples.take(np.random.default_rng(0).permutation(len(examples))[:1000])
        facts = {
            "supernet": {"name": entry.name, "weights": digest(net)},
            "pruning": _facts(found, metric, limit, wanted, config, table, trainer, task),
        }
        return _write(net, found.arch, task, calibration if entry.calibrated else None, test, place, facts)


def _limit(text: str) -> tuple[str, Limit]:
    metric, limit = parse_limit(text)
    if metric not in METRICS or limit.op != "<=":
        raise LimitError(
            f"{text!r} is no upper limit that gates can meet.",
            hint=f"Limit {', '.join(METRICS[:-1])} or {METRICS[-1]}, as in 'macs<=50 %' or 'latency_ms<=2'.",
        )
    return metric, limit


def _cost(
    net: Supernet, metric: str, campaign: Path | str | None, device: str | None, *, trust: bool
) -> tuple[Callable[[IntArray], FloatArray], JsonObject | None]:
    """Find what a cost is: computed, or by an operator table, of which some facts are told."""
    if metric != "latency_ms":
        if campaign is not None or device is not None:
            raise ConfigError(
                f"a campaign or device is named, and the limit is on {metric}, which has none.",
                hint="Limit latency_ms, or leave campaign and device out.",
            )
        return (net.macs_array if metric == "macs" else net.params_array), None
    if campaign is None:
        raise CampaignError(
            "a limit on the latency needs a campaign, whose store holds the device's operator table.",
            hint="Run 'hwsearch operators CAMPAIGN', and name the campaign by --campaign.",
        )
    opened = Campaign.open(campaign, trust=trust)
    if opened.space != net.space:
        raise CampaignError(
            f"campaign {str(campaign)!r} is on search space {opened.space.name!r}, not on that of the network to be "
            f"pruned, {net.space.name!r}, or with other choices.",
            hint="Name a campaign of the same supernet.",
        )
    target = opened.target(device)
    cost = operator_cost(opened, target)
    facts = {
        "device": target.name,
        "fingerprint": target.fingerprint,
        "architectures": cost.summed,
        "measured": cost.wholes,
        "offset_ms": cost.offset_ms,
        "slope": cost.slope,
        "error_pct": round(cost.error_pct, 3),
    }
    return cost, facts


def _facts(
    found: Pruned,
    metric: str,
    limit: str,
    wanted: float,
    config: TrainingConfig,
    table: JsonObject | None,
    trainer: Trainer,
    task: Task,
) -> JsonObject:
    return {
        "metric": metric,
        "asked": limit,
        "limit": wanted,
        "cost": found.cost,
        "largest": found.largest,
        "least": found.least,
        "disagreement": found.disagreement,
        "gated": round(found.gated, 3),
        "frozen": round(found.frozen, 3),
        "unit": task.score_unit,
        "operator_table": table,
        "steps": trainer.step,
        "passes": trainer.passes,
        "seconds": round(trainer.seconds, 1),
        "strategy": trainer.strategy.identity(),
        "training": config.identity(),
        "version": hwsearch.__version__,
    }


def _write(
    net: Supernet, arch: Architecture, task: Task, calibration: Data | None, test: Data, place: Path, facts: JsonObject
) -> JsonObject:
    """Write weights, model and card; the model is compared with torch."""
    net.eval()
    subnet, size = net.subnet(arch), net.input_size(arch)
    if calibration is not None:
        recalibrate(subnet, calibration, size)
    subnet.eval()
    score = task.evaluate(subnet, test, size)
    parts = [(p, lower(p.net, p.inputs, outputs=p.outputs, output_axes=p.output_axes)) for p in net.parts(arch, subnet)]
    inputs, _ = next(test.head(8).batches(size, 8))
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    difference = verify(parts[0][1], subnet, *given, tolerance=1e-5) if len(parts) == 1 else None
    weights = place / f"{NAME}.safetensors"
    save_weights(net, weights, {"supernet": facts["supernet"]["name"], "digest": facts["supernet"]["weights"]})
    card = {
        "architecture": {"id": arch.id, "space": net.space.name, "genes": arch.to_dict()},
        **facts,
        "score": {
            "name": task.score_name,
            task.score_field: round(score.value, 3),
            "standard_error": round(score.standard_error, 3),
            task.examples: score.n,
            "data": test.name,
        },
        "macs": net.macs(arch),
        "params": net.params(arch),
        "difference_from_torch": difference,
        "written_at": utc_now(),
    }
    path = place / f"{NAME}.onnx"
    return write_bundle(path, parts, card) | {"path": str(path), "weights": str(weights)}
