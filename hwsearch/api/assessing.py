"""The work of an assessment: read examples, judge subnets, compare gradients, train probes, and write down what was found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from hwsearch._files import own_folder
from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray, IntArray
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.progress import Progress
from hwsearch.campaigns.progress import Task as Step
from hwsearch.errors import DataError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import digest
from hwsearch.supernets.entry import LoadedSupernet
from hwsearch.tasks.data import NO_LIMIT, Data
from hwsearch.training import Run, TrainingConfig
from hwsearch.training.assessment import Conflict, Estimate, gradient_conflict, mean_of
from hwsearch.training.assessment.judging import judge_alone, judge_inherited
from hwsearch.training.assessment.records import Judged, Records, key_of
from hwsearch.training.finetune import FinetuneConfig
from hwsearch.training.recipes import DEFAULT_STRATEGY

#: training examples for the batch norms
CALIBRATION = 1000
#: purpose of the generator that draws examples
ORDER_RNG = 23
#: folder of the checkpoints of stand-alone trainings under way
UNDER_WAY = "standalone"


@dataclass(frozen=True)
class AssessmentData:
    """The examples of an assessment.

    Attributes
    ----------
    train : Data
        For gradients and stand-alone training.
    calibration : Data or None
        Of these, for the batch norms; None where there are none.
    held_out : Data
        On which subnets are judged.
    """

    train: Data
    calibration: Data | None
    held_out: Data


def read_examples(loaded: LoadedSupernet, source: Path | str | None, examples: int, seed: int) -> AssessmentData:
    """Read training and test examples, and draw those that subnets are judged on.

    Parameters
    ----------
    loaded : LoadedSupernet
        The supernet, which must fit the data.
    source : Path or str or None
        A data set with splits ``train`` and ``test``; the shipped examples where it is None.
    examples : int
        Test examples at most.
    seed : int
        Seed of the draws.

    Returns
    -------
    AssessmentData
        The examples.

    Raises
    ------
    DataError
        If the data are missing or do not fit.
    """
    task, shipped = loaded.task, loaded.entry.examples()
    if source is None:
        if not shipped:
            raise DataError(
                f"supernet {loaded.entry.name!r} ships no examples.",
                hint="Give data, a folder with 'train' and 'test'.",
            )
        train, held_out = shipped["calibration"], shipped["test"]
    else:
        classes = shipped["test"].classes if shipped else None
        train = task.read(task.split(str(source), "train"), limit=NO_LIMIT, classes=classes)
        held_out = task.read(task.split(str(source), "test"), limit=NO_LIMIT, classes=classes or train.classes or None)
    loaded.net.check_data(train, "training")
    loaded.net.check_data(held_out, "test")
    rng = np.random.default_rng([seed, ORDER_RNG])
    order = rng.permutation(len(train))  # folders are read class by class
    calibration = train.take(order[:CALIBRATION]) if loaded.entry.calibrated else None
    return AssessmentData(train, calibration, fewer(held_out, examples, rng))


def campaign_examples(campaign: Campaign, examples: int, seed: int) -> AssessmentData:
    """Take the examples of a campaign: its calibration, or else validation examples for gradients, and its test examples.

    Parameters
    ----------
    campaign : Campaign
        The campaign.
    examples : int
        Test examples at most.
    seed : int
        Seed of the draws.

    Returns
    -------
    AssessmentData
        The examples.

    Raises
    ------
    DataError
        If the data are missing or do not fit.
    """
    calibration = campaign.data.get("calibration")
    train = calibration if calibration is not None else campaign.data["validation"]
    rng = np.random.default_rng([seed, ORDER_RNG])
    return AssessmentData(train, calibration, fewer(campaign.data["test"], examples, rng))


def fewer(data: Data, n: int, rng: np.random.Generator) -> Data:
    """Draw examples, in their order.

    Parameters
    ----------
    data : Data
        The examples.
    n : int
        How many.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    Data
        All where there are no more.
    """
    return data.take(np.sort(rng.permutation(len(data))[:n])) if len(data) > n else data


def strategies_used(loaded: LoadedSupernet, checkpoint: Path | None) -> list[str]:
    """Look up on the card of the weights by which strategies they were trained.

    Parameters
    ----------
    loaded : LoadedSupernet
        The supernet with its weights.
    checkpoint : Path or None
        The weight file, whose card has the same name and ends with ``.json``; None for the shipped one.

    Returns
    -------
    list of str
        Each once; empty where there is no card of these weights.
    """
    card: object = loaded.entry.card
    if checkpoint is not None:
        try:
            card = json.loads(checkpoint.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
    try:
        if card["digest"] not in (loaded.digest, digest(loaded.net)):  # type: ignore[index]
            return []
        stages = card["trained"]["stage"]  # type: ignore[index]
        return list(dict.fromkeys(str(stage.get("strategy", DEFAULT_STRATEGY)) for stage in stages))
    except (KeyError, TypeError, AttributeError):
        return []


@dataclass(frozen=True)
class Job:
    """One assessment: judges networks, and keeps what it finds.

    Attributes
    ----------
    loaded : LoadedSupernet
        The supernet with its weights.
    examples : AssessmentData
        The examples.
    records : Records
        What was judged so far.
    place : Path
        Folder of the assessment.
    progress : Progress
        Receives the steps.
    seed : int
        Seed of all randomness.
    """

    loaded: LoadedSupernet
    examples: AssessmentData
    records: Records
    place: Path
    progress: Progress
    seed: int

    @property
    def _data(self) -> JsonObject:
        """Digests of the data that decide how a network does."""
        e = self.examples
        calibration = e.calibration.digest if e.calibration is not None else None
        return {"calibration": calibration, "data": e.held_out.digest}

    def inherited(self, archs: list[Architecture]) -> list[Judged]:
        """Judge subnets with the weights that they inherit.

        Parameters
        ----------
        archs : list of Architecture
            The subnets.

        Returns
        -------
        list of Judged
            Score and loss of each.

        Raises
        ------
        MeasurementError
            If outputs are not finite.
        """
        e, net, task = self.examples, self.loaded.net, self.loaded.task
        found, facts = [], {"weights": self.loaded.digest, **self._data}
        with self.progress.task("judge subnets", len(archs), "subnets") as step:
            for done, arch in enumerate(archs, 1):
                key = key_of(arch.id, **facts)
                judged = self.records.find(key, task, len(e.held_out))
                if judged is None:
                    judged = judge_inherited(task, net, arch, e.calibration, e.held_out)
                    self.records.keep(key, judged)
                found.append(judged)
                step.update(done)
        return found

    def conflict(
        self, archs: list[Architecture], member: IntArray, macs: FloatArray, batches: int
    ) -> tuple[Conflict, IntArray]:
        """Compare the gradients of the smallest subnet, one of each band between, and the largest.

        Parameters
        ----------
        archs : list of Architecture
            The measured subnets.
        member, macs : ndarray
            Band and MACs of each, shape ``(n,)``.
        batches : int
            Batches of training examples.

        Returns
        -------
        conflict : Conflict
            The cosines.
        compared : IntArray
            Positions of the compared subnets in `archs`.
        """
        between = [int(np.flatnonzero(member == k)[0]) for k in range(1, int(member.max()))]
        chosen = np.array([int(np.argmin(macs)), *between, int(np.argmax(macs))], dtype=np.int64)
        net, train = self.loaded.net, self.examples.train
        size = min(
            64, max(2, len(train) // batches)
        )  # batches of all examples would be one batch, and its interval nothing
        run = Run(net, self.loaded.task, train, TrainingConfig(batch=size, seed=self.seed))
        training = net.training
        with self.progress.task("compare gradients", batches, "batches") as step:
            try:
                found = gradient_conflict(run, [archs[i] for i in chosen], batches, progress=step.update)
            finally:
                net.train(training)
        return found, chosen

    def alone(self, fresh: Supernet, archs: list[Architecture], config: FinetuneConfig) -> list[Judged]:
        """Train probes by themselves; each result is kept, and an interrupted training is taken up again.

        Parameters
        ----------
        fresh : Supernet
            The supernet with its initial weights.
        archs : list of Architecture
            The probes.
        config : FinetuneConfig
            Hyper-parameters of each training.

        Returns
        -------
        list of Judged
            Score and loss of each.

        Raises
        ------
        TrainingError
            If a training diverges.
        """
        passes = config.steps
        facts = {"start": digest(fresh), "train": self.examples.train.digest, **asdict(config), **self._data}
        found = []
        with self.progress.task("train alone", len(archs) * passes, "passes") as step:
            for number, arch in enumerate(archs):
                key = key_of(arch.id, **facts)
                found.append(self._probe(fresh, arch, config, key, partial(_told, step, number * passes)))
                step.update((number + 1) * passes)
        return found

    def _probe(
        self,
        fresh: Supernet,
        arch: Architecture,
        config: FinetuneConfig,
        key: str,
        progress: Callable[[int, float], None],
    ) -> Judged:
        e, task = self.examples, self.loaded.task
        judged = self.records.find(key, task, len(e.held_out))
        if judged is not None:
            return judged
        checkpoint = own_folder(self.place / UNDER_WAY) / f"{key}.pt"
        judged = judge_alone(
            task, fresh, arch, e.train, e.calibration, e.held_out, config, progress=progress, checkpoint=checkpoint
        )
        self.records.keep(key, judged)
        checkpoint.unlink(missing_ok=True)
        if not any(checkpoint.parent.iterdir()):
            checkpoint.parent.rmdir()
        return judged


def _told(step: Step, before: int, done: int, loss: float) -> None:
    step.update(before + done)


def ends_cosine(conflict: Conflict) -> Estimate | None:
    """Estimate the cosine of the gradients of the first and the last subnet, over batches.

    Parameters
    ----------
    conflict : Conflict
        The cosines.

    Returns
    -------
    Estimate or None
        None where they share no weights.
    """
    found = conflict.cosines[:, 0, -1]
    return mean_of(found) if np.isfinite(found).all() else None


def conflict_json(conflict: Conflict, compared: IntArray, macs: FloatArray) -> JsonObject:
    """Describe gradient conflict as JSON.

    Parameters
    ----------
    conflict : Conflict
        The cosines.
    compared : IntArray
        Positions of the compared subnets.
    macs : FloatArray
        MACs of all subnets.

    Returns
    -------
    dict of str to object
        ``smallest_largest`` and ``all_pairs``, estimates over batches; ``negative_share`` of pairs and batches; ``mean_cosines``, the
        matrix; ``macs`` of the compared subnets; ``parts``, a row a part of the network.
    """
    pairs = np.triu_indices(len(compared), 1)
    every = conflict.cosines[:, pairs[0], pairs[1]]
    ends = ends_cosine(conflict)
    rows = []
    for name, cosines in conflict.parts.items():
        own = cosines[:, 0, -1]
        if np.isfinite(own).all():
            rows.append({"part": name, "common_weights": conflict.common[name], "cosine": mean_of(own).to_dict()})
    return {
        "batches": len(conflict.cosines),
        "macs": [float(macs[i]) for i in compared],
        "smallest_largest": ends.to_dict() if ends else None,
        "all_pairs": mean_of(np.nanmean(every, axis=1)).to_dict(),
        "negative_share": round(float((every[np.isfinite(every)] < 0).mean()), 6),
        "mean_cosines": conflict.cosines.mean(axis=0).round(6).tolist(),
        "parts": rows,
    }


def subnet_table(
    loaded: LoadedSupernet,
    archs: list[Architecture],
    member: IntArray,
    macs: FloatArray,
    inherited: list[Judged],
    excess: FloatArray,
    probes: IntArray,
    alone: list[Judged],
) -> pd.DataFrame:
    """Make the table of an assessment: a row a subnet.

    Parameters
    ----------
    loaded : LoadedSupernet
        The supernet.
    archs : list of Architecture
        The measured subnets.
    member, macs : ndarray
        Band and MACs of each, shape ``(n,)``.
    inherited : list of Judged
        How each did with inherited weights.
    excess : FloatArray
        Excess loss of each.
    probes : IntArray
        Positions of those that were trained by themselves.
    alone : list of Judged
        How these did.

    Returns
    -------
    pandas.DataFrame
        ``standalone`` and ``gap`` (stand-alone minus inherited, with its paired standard error) are empty but for probes.
    """
    frame = pd.DataFrame(
        {
            "arch_id": [a.id for a in archs],
            "band": member,
            "macs": macs.astype(np.int64),
            "params": np.asarray(loaded.net.params_array(loaded.net.space.to_array(archs))).astype(np.int64),
            "score": [j.score.value for j in inherited],
            "score_se": [j.score.standard_error for j in inherited],
            "loss": [j.loss for j in inherited],
            "excess_loss": excess,
            "standalone": np.nan,
            "standalone_se": np.nan,
            "gap": np.nan,
            "gap_se": np.nan,
        }
    )
    for i, judged in zip(probes, alone, strict=True):
        gap, error = judged.score.difference(inherited[i].score)
        frame.loc[int(i), ["standalone", "standalone_se", "gap", "gap_se"]] = [
            judged.score.value,
            judged.score.standard_error,
            gap,
            error,
        ]
    return frame
