"""Pick a chain: measured subnets of which each lies within the next, to switch between at run time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsearch._files import own_folder
from hwsearch._typing import BoolArray, FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.steps.bundle import export_model
from hwsearch.campaigns.steps.fronts import asked_view
from hwsearch.campaigns.steps.pick import Row, chances, latencies_of, numbers_of, wanted_limits, within
from hwsearch.campaigns.view import View
from hwsearch.errors import CampaignError, OutputError
from hwsearch.objectives.limit import unreachable_error
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.objectives.objective import Objective
from hwsearch.spaces import Architecture

#: most members: more than anyone switches between
MOST = 64


def pick_chain(
    campaign: Campaign,
    members: int,
    limits: Sequence[str],
    device: str | None = None,
    *,
    probability: float | None = None,
    deployment: str | None = None,
    export: Path | None = None,
) -> dict[str, Any]:
    """Pick validated subnets of which each lies within the next, and export them if asked.

    Of all chains of at most so many members, each of them slower and better than the one before, it is the one with the largest
    hypervolume of measured values.

    Parameters
    ----------
    campaign : Campaign
        Whose candidates have been validated.
    members : int
        How many at most, 2 to 64.
    limits : sequence of str
        Such as ``latency_ms<=0.5``; every member meets them.
    device : str, optional
        The device; the only one by default.
    probability : float, optional
        With which each limit must be met, as of `pick`.
    deployment : {"worst-case", "weighted"}, optional
        One chain for all devices, as of `pick`.
    export : pathlib.Path, optional
        The folder for the ONNX files, one a member; made if missing.

    Returns
    -------
    dict
        ``members``: the smallest first, each with id, genes, values and intervals; ``weights_mib`` of the largest, which has
        all others' weights, and ``apart_mib`` of all by themselves.

    Raises
    ------
    CampaignError
        If `members` is out of range, the front has one objective, or no two of the subnets are nested.
    LimitError
        When no subnet meets the limits.
    OutputError
        If `export` is a file.

    References
    ----------
    Valipour et al., "SortedNet: a scalable and generalized framework for training modular deep neural networks",
    2023, arXiv 2309.00255.
    """
    if isinstance(members, bool) or not isinstance(members, int) or not 2 <= members <= MOST:
        raise CampaignError(f"a chain of {members!r} members is none.", hint=f"Ask for 2 to {MOST}.")
    view = asked_view(campaign, device, deployment)
    folder = _folder(export)
    wanted = wanted_limits(view, limits)
    known = Known.read(campaign)
    left, parsed = within(view, known, wanted, probability)
    met = np.ones(len(left), dtype=bool)
    for column, limit in parsed:
        kept = met & limit.met(left.values(column))
        if not kept.any():
            raise unreachable_error(f"{column} {limit}", limit, left.values(column)[met], [], f"{column} {limit.op}")
        met = kept
    left = left.where(met)
    archs = left.archs
    chosen = _chosen(view, left, members)
    sizes = [_weights_mib(campaign, archs[i]) for i in chosen]
    scales = view.scales(known, VALIDATE) if view.joint else None
    found: list[Row] = []
    for place, i in enumerate(chosen, 1):
        row: Row = {str(k): v for k, v in left.frame.iloc[i].items()}
        one = left.where(np.arange(len(left)) == i)
        entry = {
            "arch_id": archs[i].id,
            "genes": archs[i].to_dict(),
            "met_with": chances(view, one, parsed),
            **numbers_of(row),
            "devices": latencies_of(view, row, scales),
        }
        if folder is not None:
            entry["export"] = export_model(
                campaign.with_network, archs[i], folder / f"{place:02d}-{archs[i].id}.onnx", known
            )
        found.append(entry)
    return {
        "device": view.name,
        "limits": wanted,
        "asked": members,
        "score": campaign.loaded.task.score_name,
        "score_unit": campaign.loaded.task.score_unit,
        "confidence": campaign.final_protocol.confidence,
        "members": found,
        "weights_mib": sizes[-1],
        "apart_mib": sum(sizes),
    }


def best_chain(within: BoolArray, score: FloatArray, cost: FloatArray, members: int) -> list[int]:
    """Find the chain with the largest hypervolume: each member within the next, and less costly and worse than it.

    The hypervolume is a sum over neighbours in the chain, so that the best chain of each length to each member follows
    from those that are one shorter: exact, in time members x n².

    Parameters
    ----------
    within : ndarray of bool (n, n)
        Entry ``[i, j]``: i lies within j.
    score : ndarray (n,)
        Larger is better.
    cost : ndarray (n,)
        Smaller is better.
    members : int
        How many at most.

    Returns
    -------
    list of int
        Positions, the smallest first.

    Examples
    --------
    >>> within = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 1]], dtype=bool)  # 2 within 0 within 1
    >>> best_chain(within, np.array([70.0, 80.0, 60.0]), np.array([2.0, 4.0, 1.0]), 3)
    [2, 0, 1]
    """
    worst = cost.max() + 0.05 * (np.ptp(cost) or 1.0)
    least = score.min() - 0.05 * (np.ptp(score) or 1.0)
    step = within & (score[:, None] < score[None]) & (cost[:, None] < cost[None])
    gain = np.where(step, (worst - cost)[None] * (score[None] - score[:, None]), -np.inf)
    volume = [(worst - cost) * (score - least)]
    before: list[np.ndarray] = []
    for _ in range(1, members):
        following = volume[-1][:, None] + gain
        before.append(following.argmax(axis=0))
        volume.append(following.max(axis=0))
        if not np.isfinite(volume[-1]).any():
            break
    best = int(np.argmax([v.max() for v in volume]))
    chain = [int(np.argmax(volume[best]))]
    for k in range(best - 1, -1, -1):
        chain.append(int(before[k][chain[-1]]))
    return chain[::-1]


def _chosen(view: View, left: MeasuredSet, members: int) -> list[int]:
    """Return the positions of the best chain; raise CampaignError where there is none."""
    score, cost = _two(view)
    rows = view.campaign.space.to_array(left.archs)
    chain = best_chain(
        view.campaign.space.contained_array(rows),
        -score.sign * left.values(score.name),
        cost.sign * left.values(cost.name),
        members,
    )
    if len(chain) < 2:
        raise CampaignError(
            f"of {len(left)} validated subnets of {view.name} within the limits no two are nested, the larger one better and slower.",
            hint="Validate more ([validate] candidates), widen the limits, or train with strategy 'sorted', whose subnets are a chain.",
        )
    if len(chain) < members:
        view.campaign.progress.warn(
            f"the best chain among {len(left)} validated subnets of {view.name} has {len(chain)} members, not {members}."
        )
    return chain


def _two(view: View) -> tuple[Objective, Objective]:
    """Return what a chain trades off: the first objective, and the first that is measured on a device, or else the next."""
    first, *others = view.front_objectives
    if not others:
        raise CampaignError(
            f"a chain trades two objectives off, and there is only {first.name}.", hint="Add a second [[objective]]."
        )
    on_device = [o for o in others if o.metric in DEVICE_METRICS or view.joint]
    return first, (on_device or others)[0]


def _weights_mib(campaign: Campaign, arch: Architecture) -> float:
    return 4 * campaign.loaded.net.params(arch) / 2**20


def _folder(export: Path | None) -> Path | None:
    if export is None:
        return None
    if export.suffix == ".onnx" or export.is_file():
        raise OutputError(f"{export} is no folder.", hint="A chain is several files: give a folder.")
    return own_folder(export)
