"""Search: rounds of proposals that are measured, until their number, or the gain left, says stop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.lookup import any_accuracy
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.running import record_coverage
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import SEARCH_END, search_state
from hwsearch.campaigns.steps.allocate import measure_round, propose_fidelities
from hwsearch.campaigns.steps.kept_rounds import KeptRounds
from hwsearch.campaigns.steps.propose import Proposals, Proposer
from hwsearch.campaigns.steps.screen import measure_cheap
from hwsearch.campaigns.tactic import check_tactic
from hwsearch.errors import CampaignError
from hwsearch.spaces import Architecture

log = logging.getLogger("hwsearch")


def search(campaign: Campaign) -> pd.DataFrame:
    """Search in rounds: fit on everything measured, propose for every front, measure on all devices.

    The proposals of each round are kept before they are measured, so that an interrupted round is taken up where it
    stopped. A round that is not worth its measurements (``[search] stop_gain``) ends the search and is not measured. With
    ``[search] screening_factor`` a round proposes more, measures them on what is cheap, and completes the best of all that
    lacks something; with ``[search] fidelities`` it chooses on how many examples each is scored.

    Parameters
    ----------
    campaign : Campaign
        Whose profile has been measured.

    Returns
    -------
    pandas.DataFrame
        A row a round and front: ``round``, ``device``, ``screened``, ``proposed``, ``expected_gain``, ``measured``. What is
        scored on few examples counts as screened.

    Raises
    ------
    CampaignError
        If nothing has been evaluated yet, or the tactic cannot do what the configuration says.
    DeviceError
        If a device is lost.
    """
    c = campaign.config.search
    check_tactic(campaign)
    stamp = {"tactic": c.tactic, "seed": c.seed, "per_round": c.per_round, "supernet": campaign.loaded.digest}
    if not any_accuracy(campaign, Split.VALIDATION, SEARCH):
        raise CampaignError(
            "nothing has been evaluated yet.", hint="Run 'hwsearch profile' and 'hwsearch evaluate' first."
        )
    name = search_state(campaign.config, list(campaign.targets.values()))
    kept = KeptRounds(campaign.store, name, stamp)
    proposer = Proposer(campaign)
    done, stopped = 0, None
    for r in range(c.rounds):
        if r >= len(kept.rounds):
            kept.rounds.append({})  # to be kept with its first proposals
        proposals = _proposals(proposer, r, kept.rounds[r], kept.keep)
        stopped = gains_below(proposals, c.stop_gain)
        if stopped is not None:
            log.info(
                "the search ends before round %d of %d: its %d proposals are expected to add less than %.2g %% to the "
                "hypervolume: %s",
                r + 1, c.rounds, sum(len(d["archs"]) for d in proposals.values()), 100 * c.stop_gain, _percent(stopped),
            )  # fmt: skip
            break
        measure_round(campaign, proposals, r)
        done = r + 1
        record_coverage(campaign)
    ended = {"name": name, "rounds": done, "of": c.rounds, "stop_gain": c.stop_gain, "expected_gain": stopped}
    if campaign.store.get_state(SEARCH_END) != ended:
        campaign.store.put_state(SEARCH_END, ended)
    rows = [
        {
            "round": r + 1,
            "device": d,
            "screened": len(s["screened"][d]["archs"]) if "screened" in s else _partial(p),
            "proposed": len(p["archs"]) - _partial(p) if "devices" in s else 0,
            "expected_gain": p["info"].get("expected_gain"),
            "measured": r < done,
        }
        for r, s in enumerate(kept.rounds[: done + (stopped is not None)])
        for d, p in (s["devices"] if "devices" in s else s["screened"]).items()
    ]
    return pd.DataFrame(rows, columns=["round", "device", "screened", "proposed", "expected_gain", "measured"])


def how_it_ended(campaign: Campaign) -> str | None:
    """Describe the end of the search.

    Parameters
    ----------
    campaign : Campaign
        Whose search.

    Returns
    -------
    str or None
        One clause; None where there was no search.
    """
    state = campaign.store.get_state(SEARCH_END)
    if not state or "of" not in state:
        return None
    gains = state["expected_gain"]
    if not gains:
        return f"all {state['of']} rounds"
    return (
        f"after {state['rounds']} of {state['of']} rounds: the next was expected to add less than "
        f"{100 * state['stop_gain']:.2g} % to the hypervolume ({_percent(gains)})"
    )


def gains_below(proposals: Proposals, least: float) -> dict[str, float] | None:
    """Return the expected gains of a round that is not worth its measurements.

    Parameters
    ----------
    proposals : dict
        By front, with the tactic's ``info``.
    least : float
        ``[search] stop_gain``; 0 for never.

    Returns
    -------
    dict of str to float, or None
        Expected gains by front, when all are known and below `least`.
    """
    gains = {name: p["info"].get("expected_gain") for name, p in proposals.items()}
    if not least or any(g is None or not g < least for g in gains.values()):
        return None
    return {name: float(g) for name, g in gains.items()}


def _percent(gains: dict[str, float]) -> str:
    return ", ".join(f"{k} {100 * g:.2g} %" for k, g in gains.items())


def _proposals(proposer: Proposer, r: int, one: dict[str, Any], keep: Callable[[], object]) -> Proposals:
    """Return what a round measures completely, by front, taken from its state `one` or put there; `keep` saves that.

    Where it screens, the candidates are kept first, and measured on what is cheap. They are what is returned, unmeasured,
    when not even they are worth it.
    """
    campaign = proposer.campaign
    c = campaign.config.search
    if "devices" not in one and c.screening_factor > 1:
        if "screened" not in one:
            one["screened"] = proposer.propose(r, c.per_round * c.screening_factor)
            keep()
        screened: Proposals = one["screened"]
        if gains_below(screened, c.stop_gain) is not None:
            return screened
        measure_cheap(campaign, _archs(campaign, screened), f"search {r + 1} screen")
    if "devices" not in one and c.fidelities:
        one["devices"] = propose_fidelities(proposer, r, c.per_round)
        keep()
    if "devices" not in one:
        one["devices"] = proposer.propose(r, c.per_round, complete=c.screening_factor > 1)
        keep()
    proposals: Proposals = one["devices"]
    return proposals


def _partial(proposals: dict[str, Any]) -> int:
    """Count the subnets of a front that a round scores on few examples."""
    return sum(n is not None for n in proposals.get("images", ()))


def _archs(campaign: Campaign, proposals: Proposals) -> list[Architecture]:
    """Return what is proposed for any front, each once."""
    return list(dict.fromkeys(campaign.space.architecture(g) for p in proposals.values() for g in p["archs"]))
