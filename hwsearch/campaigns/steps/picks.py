"""The subnets of a front that are worth shipping."""

from __future__ import annotations

from dataclasses import dataclass

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import WEIGHTED, WORST
from hwsearch.campaigns.steps.fronts import final_set
from hwsearch.campaigns.steps.pick import Row, choose
from hwsearch.campaigns.view import View
from hwsearch.errors import LimitError
from hwsearch.objectives.front import Front
from hwsearch.spaces import Architecture


@dataclass(frozen=True)
class Pick:
    """One subnet worth shipping.

    Parameters
    ----------
    label : str
        Why it is worth it, such as ``knee``.
    arch : Architecture
        The subnet.
    row : dict
        Its row of the front.
    """

    label: str
    arch: Architecture
    row: Row


def picks(campaign: Campaign, view: View, known: Known) -> list[Pick]:
    """Pick the subnets worth showing.

    Parameters
    ----------
    campaign : Campaign
        Warned where a configured limit is met by none.
    view : View
        The front.
    known : Known
        What the store holds.

    Returns
    -------
    list of Pick
        Under each configured limit, near the reference, the most accurate, the fastest good one, the knee; a subnet that is
        picked twice has both labels.

    Raises
    ------
    CampaignError
        If nothing has been validated.
    """
    found = Front.of(final_set(view, known).frame, view.front_objectives)
    frame = found.to_frame()
    chosen: list[Pick] = []

    def add(label: str, row: Row) -> None:
        arch = known.architectures[str(row["arch_id"])]
        for i, p in enumerate(chosen):
            if p.arch == arch:
                chosen[i] = Pick(f"{p.label}; {label}", arch, p.row)
                return
        chosen.append(Pick(label, arch, row))

    for o in view.objectives:
        if o.limit is not None:
            label = "within every device's limit" if o.name == WORST else f"{o.metric} {o.limit}"
            if o.probability is not None:
                label += f" with probability {o.probability:g}"
            try:
                add(label, choose(view, known, [(o.name, o.limit)])[0])
            except LimitError as error:
                campaign.progress.warn(str(error))
    if campaign.config.search.prefer == "reference" and view.reference:
        add("nearest to the reference", dict(found.nearest_to(view.reference)))
    cost = next((o.name for o in found.objectives if o.name in (WORST, WEIGHTED)), "latency_ms")
    if "accuracy" in frame and cost in frame:
        best = frame["accuracy"].max()
        task = campaign.loaded.task
        near = frame[frame["accuracy"] >= best - task.small_difference].sort_values(cost)
        add("most accurate", dict(frame.sort_values("accuracy").iloc[-1]))
        add(f"fastest within {task.small_difference:g} {task.difference_unit} of the most accurate", dict(near.iloc[0]))
    add("knee", dict(found.knee()))
    return chosen
