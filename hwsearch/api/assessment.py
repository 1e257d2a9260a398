"""Assessment of a trained supernet: what it is worth, and which training strategy to try next."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch

import hwsearch
from hwsearch._files import check_place, containing, json_with, overwriting, own_folder, write_file
from hwsearch._json import JsonObject
from hwsearch.api.assessing import (
    Job,
    campaign_examples,
    conflict_json,
    ends_cosine,
    read_examples,
    strategies_used,
    subnet_table,
)
from hwsearch.api.opening import Source, open_campaign
from hwsearch.api.training import initial_supernet
from hwsearch.campaigns.progress import LoggedProgress, Progress
from hwsearch.devices.threads import compute_threads
from hwsearch.errors import ConfigError, TrainingError
from hwsearch.reporting.assessment_page import write_assessment_page
from hwsearch.reporting.assessment_result import FOLDER, RESULT
from hwsearch.reporting.page import IS_PAGE
from hwsearch.store import utc_now
from hwsearch.supernets import catalogue
from hwsearch.training.allocator import keep_freed_memory
from hwsearch.training.assessment import advise, band_rows, choose_probes, choose_subnets, excess_losses
from hwsearch.training.assessment.advice import figures_of
from hwsearch.training.assessment.judging import alone_config
from hwsearch.training.assessment.records import RECORDS, Records

#: files of an assessment
RECORD, TABLE, PAGE = "measured.json", "assessment.csv", "assessment.html"
#: recognises the table and the result
IS_TABLE, IS_RESULT = containing(b"arch_id,band,macs"), json_with("assessment")
#: purpose of the generator that draws subnets
SUBNETS_RNG = 19


def assess_supernet(
    supernet: str | None = None,
    folder: Path | str | None = None,
    *,
    campaign: Source | None = None,
    checkpoint: Path | str | None = None,
    data: Path | str | None = None,
    subnets: int = 40,
    bands: int = 5,
    examples: int = 2000,
    batches: int = 8,
    standalone: int = 0,
    passes: int = 1000,
    lr: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    trust: bool = False,
    force: bool = False,
) -> JsonObject:
    """Assess a trained supernet: scores over bands of MACs, gradient conflict, gap to stand-alone training, advice.

    The same call goes on where an interrupted one stopped; what was measured with the same weights, data and settings is not
    measured again.

    Parameters
    ----------
    supernet : str, optional
        A name of the catalogue, or ``file.py:ENTRY``, whose code is run.
    folder : Path or str, optional
        Gets ``assessment.html``, ``assessment.json``, ``assessment.csv`` with a row a subnet, and ``measured.json``.
    campaign : Campaign, path or str, optional
        A campaign, in place of `supernet`, `folder` and `checkpoint`: its weights are assessed, on its calibration and test
        examples unless there are `data`, in the folder ``assessment`` of the campaign's, from where its report shows them.
    checkpoint : Path or str, optional
        A weight file; the shipped one by default.
    data : Path or str, optional
        A data set with splits ``train`` and ``test``, as `hwsearch.train` takes it; the shipped examples by default.
    subnets : int
        How many subnets are judged, spread over the bands.
    bands : int
        Bands of MACs, equally wide in their logarithm.
    examples : int
        Test examples on which subnets are judged, drawn once.
    batches : int
        Batches of 64 training examples on which gradients are compared.
    standalone : int
        How many of the subnets are also trained by themselves, as probes; none by default. It needs `data`.
    passes : int
        Forward and backward passes of each such training.
    lr : float, optional
        Its peak learning rate; 0.05 for networks with batch norms, else 0.0005.
    seed : int
        Seed of all randomness.
    progress : Progress, optional
        Receives the steps; by default the logger ``hwsearch``.
    trust : bool
        Execute what the campaign's configuration names even if another user wrote it, see SECURITY.md.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict of str to object
        What ``assessment.json`` holds: ``bands``, ``conflict``, ``gap``, ``rank_correlation``, ``advice``, and what they rest on.

    Raises
    ------
    ConfigError
        If a number is out of range, stand-alone training is asked for without `data`, or there is neither `supernet` with
        `folder` nor `campaign` alone.
    CampaignError
        If there is no such campaign.
    SupernetError
        If there is no such supernet.
    CheckpointError
        If there are no weights, or they do not fit.
    DataError
        If the data are missing or do not fit.
    TrainingError
        If the subnets have no two bands of MACs, or a stand-alone training diverges.
    OutputError
        If a file would be written through a link, or over one that hwsearch did not write.

    Examples
    --------
    >>> import hwsearch
    >>> found = hwsearch.assess_supernet("cifar10-mbv3", "runs/worth")  # doctest: +SKIP
    >>> found["advice"]["sentence"]  # doctest: +SKIP
    >>> hwsearch.assess_supernet(campaign="runs/photos")  # doctest: +SKIP
    """
    _check_numbers(
        subnets=(subnets, 2), bands=(bands, 2), examples=(examples, 2), batches=(batches, 2), standalone=(standalone, 0),
        passes=(passes, 1), seed=(seed, 0),
    )  # fmt: skip
    if subnets < 2 * bands:
        raise ConfigError(f"{subnets} subnets of {bands} bands: a band needs 2.", hint=f"Give subnets {2 * bands}.")
    if standalone == 1:
        raise ConfigError("standalone 1: one probe has no smaller and no larger one.", hint="Give 0, or 2 or more.")
    if standalone and data is None:
        raise ConfigError(
            f"standalone {standalone}: training by itself needs the supernet's training data, and the shipped examples "
            "are too few.",
            hint="Give data, or leave standalone out.",
        )
    if campaign is None and (supernet is None or folder is None):
        raise ConfigError(
            "an assessment needs a supernet and a folder, or a campaign.",
            hint="Give supernet and folder, or campaign alone.",
        )
    if campaign is not None and not supernet is folder is checkpoint is None:
        raise ConfigError(
            "a campaign names its supernet, weights and folder itself.",
            hint="Leave out supernet, folder and checkpoint, or campaign.",
        )
    started = time.monotonic()
    opened = None if campaign is None else open_campaign(campaign, progress=progress, trust=trust)
    progress = progress or LoggedProgress()
    torch.set_num_threads(compute_threads())
    keep_freed_memory()
    if opened is not None:
        settings = opened.config.supernet
        supernet, checkpoint, place, loaded = settings.name, settings.checkpoint, opened.folder / FOLDER, opened.loaded
        if standalone and settings.sort:
            raise ConfigError(
                "standalone: the campaign sorts the weights of a plain network ([supernet] sort), which were not trained for "
                "sharing.",
                hint="Leave standalone out.",
            )
        examined = campaign_examples(opened, examples, seed) if data is None else None
    else:
        assert supernet is not None and folder is not None
        place, loaded = Path(folder), catalogue.load_supernet(supernet, str(checkpoint) if checkpoint else None)
        examined = None
    found = examined or read_examples(loaded, data, examples, seed)
    with overwriting(force):
        own_folder(place)
        for name, ours in ((RECORD, RECORDS), (TABLE, IS_TABLE), (RESULT, IS_RESULT), (PAGE, IS_PAGE)):
            check_place(place / name, ours)
        job = Job(loaded, found, Records(place / RECORD), place, progress, seed)
        cells, archs, member = choose_subnets(loaded.net, subnets, bands, np.random.default_rng([seed, SUBNETS_RNG]))
        config = alone_config(loaded.net, passes, lr, seed, len(found.train))
        fresh = initial_supernet(loaded.entry, supernet, None, seed, found.train) if standalone else None
        if fresh is not None and (fresh.space != loaded.net.space or fresh.classes != loaded.net.classes):
            raise TrainingError(
                f"supernet {supernet!r}: the weights call for a network of another shape than the published one, which "
                "alone can be built anew.",
                hint="Leave standalone out, or name an entry of your own that builds it.",
            )
        inherited = job.inherited(archs)
        macs = np.asarray(loaded.net.macs_array(loaded.net.space.to_array(archs)), dtype=np.float64)
        scores = np.array([j.score.value for j in inherited])
        errors = np.array([j.score.standard_error for j in inherited])
        excess = excess_losses(macs, np.array([j.loss for j in inherited]))
        rows = band_rows(cells, member, scores, errors, excess)
        conflict, compared = job.conflict(archs, member, macs, batches)
        probes = choose_probes(macs, standalone) if standalone else np.empty(0, np.int64)
        alone = job.alone(fresh, [archs[i] for i in probes], config) if fresh is not None else []
        figures = figures_of(
            rows, member, scores, excess, ends_cosine(conflict), scores[probes],
            np.array([j.score.value for j in alone]),
        )  # fmt: skip
        task, best = loaded.task, max(inherited, key=lambda judged: judged.score.value).score
        used = strategies_used(loaded, Path(checkpoint) if checkpoint else None)
        chance = task.no_better_than(best.value, best.standard_error, found.held_out)
        table = subnet_table(loaded, archs, member, macs, inherited, excess, probes, alone)
        result: JsonObject = {
            "assessment": supernet,
            "digest": loaded.digest,
            "score": {"name": task.score_name, "unit": task.score_unit, "label": task.score_label},
            "difference_unit": task.difference_unit,
            "data": found.held_out.name,
            "examples": len(found.held_out),
            "examples_name": task.examples,
            "training_examples": len(found.train),
            "seed": seed,
            "trained_by": used,
            "bands": [row.to_dict() for row in rows],
            "conflict": conflict_json(conflict, compared, macs),
            "passes": passes if standalone else None,
            "gap": figures.gap.to_dict() if figures.gap else None,
            "gap_large_over_small": figures.gap_large_over_small.to_dict() if figures.gap_large_over_small else None,
            "rank_correlation": figures.tau.to_dict() if figures.tau else None,
            "advice": advise(
                figures, unit=task.difference_unit, small_difference=task.small_difference, chance=chance, used=used
            ).to_dict(),
            "subnets": json.loads(table.to_json(orient="records", double_precision=9)),
            "version": hwsearch.__version__,
            "created": utc_now(),
            "seconds": round(time.monotonic() - started, 1),
            "files": {name: str(place / name) for name in (PAGE, RESULT, TABLE)},
        }
        write_file(place / TABLE, table.to_csv(index=False).encode(), IS_TABLE)
        write_file(place / RESULT, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode(), IS_RESULT)
        write_assessment_page(result, place / PAGE)
    return result


def _check_numbers(**given: tuple[int, int]) -> None:
    for name, (value, least) in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{name} {value!r} is not a whole number of at least {least}.")
