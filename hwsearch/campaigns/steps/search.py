"""The search of a campaign: rounds of proposals that are measured, until their number, or the gain left, says stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.chance import tightened, unlikely
from hwsearch.campaigns.frames import archs_of
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.known import find_accuracy
from hwsearch.campaigns.steps.fit import feature_matrix
from hwsearch.campaigns.steps.screen import Estimates, candidates, estimates, measure_cheap
from hwsearch.campaigns.tactic import capabilities, check_tactic
from hwsearch.campaigns.view import View, views
from hwsearch.errors import CampaignError
from hwsearch.objectives.computed import computed_metric, computed_metrics
from hwsearch.objectives.front import Front
from hwsearch.objectives.objective import Objective
from hwsearch.searchers import Searcher, create
from hwsearch.searchers.capabilities import Capabilities
from hwsearch.spaces import Architecture

log = logging.getLogger("hwsearch")


def search(campaign: Campaign) -> pd.DataFrame:
    """Rounds of: fit on everything measured, propose for every front, measure on all devices, tell.

    The proposals of each round are kept before they are measured, so that an interrupted round is taken up where it
    stopped. A round that is not worth its measurements (``[search] stop_gain``) ends the search and is not measured.
    With ``[search] screen`` a round proposes more, measures them on what is cheap, and completes the best of all that
    lacks something. Returns one row a round and front: candidates screened, proposals, expected gain, and whether they were
    measured.
    """
    c = campaign.config.search
    check_tactic(campaign)
    stamp = {"tactic": c.tactic, "seed": c.seed, "per_round": c.per_round, "supernet": campaign.loaded.digest}
    if not find_accuracy(campaign, "validation", "search"):
        raise CampaignError(
            "nothing has been evaluated yet.", hint="Run 'hwsearch profile' and 'hwsearch evaluate' first."
        )
    name = _state_name(campaign)
    state = campaign.store.get_state(name) or {**stamp, "rounds": []}
    done, stopped = 0, None
    for r in range(c.rounds):
        if r >= len(state["rounds"]):
            state["rounds"].append({})
        proposals = _proposals(campaign, r, state["rounds"][r], lambda: campaign.store.put_state(name, state))
        stopped = _not_worth_it(proposals, c.stop_gain)
        if stopped is not None:
            said = ", ".join(f"{k} {100 * g:.2g} %" for k, g in stopped.items())
            log.info(
                "the search ends before round %d of %d: its %d proposals are expected to add less than %.2g %% to the "
                "hypervolume: %s",
                r + 1, c.rounds, sum(len(d["archs"]) for d in proposals.values()), 100 * c.stop_gain, said,
            )  # fmt: skip
            break
        unique = _archs(campaign, proposals)
        measure_accuracy(campaign, unique, stage=f"search {r + 1} accuracy")
        measure_latencies(campaign, campaign.targets.values(), unique, stage=f"search {r + 1}")
        done = r + 1
    ended = {"name": name, "rounds": done, "of": c.rounds, "stop_gain": c.stop_gain, "expected_gain": stopped}
    if campaign.store.get_state("search") != ended:
        campaign.store.put_state("search", ended)
    rows = [
        {
            "round": r + 1,
            "device": d,
            "screened": len(s["screened"][d]["archs"]) if "screened" in s else 0,
            "proposed": len(p["archs"]) if "devices" in s else 0,
            "expected_gain": p["info"].get("expected_gain"),
            "measured": r < done,
        }
        for r, s in enumerate(state["rounds"][: done + (stopped is not None)])
        for d, p in (s["devices"] if "devices" in s else s["screened"]).items()
    ]
    return pd.DataFrame(rows, columns=["round", "device", "screened", "proposed", "expected_gain", "measured"])


def _state_name(campaign: Campaign) -> str:
    """What the proposals depend on, besides what is measured."""
    c = campaign.config.search
    devices = ",".join(f"{t.name}={t.fingerprint}" for t in campaign.targets.values())
    name = f"search:{c.tactic}:{c.seed}:{c.per_round}:{devices}"
    if c.prefer != "front":
        name += f":{c.prefer}{sorted((c.reference or {}).items()) if c.reference else ''}"
    if c.serve != "each":
        name += f":{c.serve}" + ",".join(f"{d.weight:g}" for d in campaign.config.device)
    if c.earlier:
        name += ":" + ",".join(c.earlier)
    if c.screen > 1:
        name += f":screen {c.screen} {','.join(sorted(set(c.screen_with)))} {c.screen_images}"
    return name


def how_it_ended(campaign: Campaign) -> str | None:
    """One sentence on the search's end; None where there was none."""
    state = campaign.store.get_state("search")
    if not state or "of" not in state:
        return None
    gains = state["expected_gain"]
    if not gains:
        return f"all {state['of']} rounds"
    said = ", ".join(f"{k} {100 * g:.2g} %" for k, g in gains.items())
    return (
        f"after {state['rounds']} of {state['of']} rounds: the next was expected to add less than "
        f"{100 * state['stop_gain']:.2g} % to the hypervolume ({said})"
    )


def _not_worth_it(proposals: dict[str, Any], least: float) -> dict[str, float] | None:
    """The expected gains by front, when all are known and below `least`."""
    gains = {name: p["info"].get("expected_gain") for name, p in proposals.items()}
    if not least or any(g is None or not g < least for g in gains.values()):
        return None
    return {name: float(g) for name, g in gains.items()}


# ---------------------------------------------------------------------- proposing
def _proposals(campaign: Campaign, r: int, one: dict[str, Any], keep: Callable[[], object]) -> dict[str, Any]:
    """What a round measures completely, by front, taken from its state `one` or put there; `keep` saves that.

    Where it screens, the candidates are kept first, and measured on what is cheap. They are what is returned, unmeasured,
    when not even they are worth it.
    """
    c = campaign.config.search
    if "devices" not in one and c.screen > 1:
        if "screened" not in one:
            one["screened"] = _propose(campaign, r, c.per_round * c.screen)
            keep()
        screened: dict[str, Any] = one["screened"]
        if _not_worth_it(screened, c.stop_gain) is not None:
            return screened
        measure_cheap(campaign, _archs(campaign, screened), f"search {r + 1} screen")
    if "devices" not in one:
        one["devices"] = _propose(campaign, r, c.per_round, complete=c.screen > 1)
        keep()
    proposals: dict[str, Any] = one["devices"]
    return proposals


def _archs(campaign: Campaign, proposals: dict[str, Any]) -> list[Architecture]:
    """What is proposed for any front, each once."""
    return list(dict.fromkeys(campaign.space.architecture(g) for p in proposals.values() for g in p["archs"]))


def _propose(campaign: Campaign, r: int, per_round: int, *, complete: bool = False) -> dict[str, Any]:
    """Proposals by front: what a fresh searcher that is told everything asks for, or chooses of what can be completed."""
    out: dict[str, Any] = {}
    taken: set[Architecture] = set()
    fronts, guesses = views(campaign), estimates(campaign)
    stage = f"search {r + 1} {'choose' if complete else 'propose'}"
    with campaign.progress.task(stage, len(fronts), "devices") as task:
        notes = []
        for i, view in enumerate(fronts):
            frame = view.frame()
            if r == 0 and not complete and (doubt := unlikely(campaign, view, frame)) is not None:
                campaign.progress.warn(doubt)
            searcher = _searcher(campaign, view, r, frame)
            _tell(view, searcher, frame, guesses)
            share = per_round // len(fronts) + (1 if i < per_round % len(fronts) else 0)
            if complete:
                asked = searcher.choose(
                    [a for a in candidates(campaign, view, frame, guesses) if a not in taken], share
                )
            else:
                asked = [a for a in searcher.ask(share) if a not in taken]
            info = searcher.info
            if not complete and len(asked) < share:  # another device proposed the same
                asked += [a for a in searcher.ask(share) if a not in taken][: share - len(asked)]
            taken.update(asked)
            out[view.name] = {"archs": [a.to_dict() for a in asked], "info": info.to_dict()}
            if info.expected_gain is not None:
                notes.append(f"{view.name} expected gain {100 * info.expected_gain:.1f} %")
            task.update(i + 1)
        task.note(" · ".join(notes))
    return out


def _searcher(campaign: Campaign, view: View, r: int, frame: pd.DataFrame) -> Searcher:
    """A fresh searcher for round r of one front.

    Limits are numbers by now. What the preference aspires to and with which probability limits must be met is told to a
    tactic that has the options ``reference`` and ``confidence``; for another one it is in the limits.
    """
    c = campaign.config.search
    can = capabilities(campaign)
    objectives = view.resolved(frame)
    options = _options(campaign, objectives, can)
    aspired = _aspired(view, frame, objectives)
    if can.confidence:
        chances = {o.name: o.probability for o in objectives if o.probability is not None}
        options |= {"confidence": chances} if chances else {}
    else:
        objectives = [tightened(campaign, view, frame, o) for o in objectives]
    if aspired and can.reference:
        options["reference"] = aspired
    elif aspired:
        objectives = [o.at_least(aspired[o.name]) if o.name in aspired else o for o in objectives]
    objectives = [replace(o, probability=None) for o in objectives]
    seed = int(np.random.default_rng([c.seed, r, *view.name.encode()]).integers(2**31))
    return create(c.tactic, campaign.space, objectives, seed=seed, **options)


def _aspired(view: View, frame: pd.DataFrame, objectives: Sequence[Objective]) -> dict[str, float]:
    """What must be reached to count, by objective; the knee is that of what has been measured."""
    prefer = view.campaign.config.search.prefer
    front = Front.of(frame, objectives)
    if (prefer == "knee" and not len(front)) or (prefer == "reference" and not view.reference):
        return {}
    return front.aspiration(prefer, view.reference)


def _options(campaign: Campaign, objectives: list[Objective], can: Capabilities) -> dict[str, Any]:
    """What a tactic that predicts is told of the supernet, as far as it takes it."""
    c = campaign.config.search
    net = campaign.loaded.net
    options = {
        "features": lambda rows: feature_matrix(campaign, rows),
        "known": lambda rows: np.column_stack([*net.cost_features(rows).values()]),
        "cost": campaign.loaded.balanced_cost,
        "inner_evaluations": c.inner_evaluations,
        "exact": {
            o.name: (lambda rows, m=computed_metric(o.metric): m.compute(net, rows))
            for o in objectives
            if o.metric in computed_metrics()
        },
    }
    if c.earlier:
        options["warm_start"] = campaign.earlier
    return {k: v for k, v in options.items() if k in can.options()}


def _tell(view: View, searcher: Searcher, frame: pd.DataFrame, guesses: Estimates) -> None:
    """Tell a fresh searcher everything measured and its noise, incomplete rows as well if it learns from them.

    guesses : hinted to one that screens
    """
    values = frame[[o.name for o in view.objectives]].to_numpy(dtype=np.float64)
    usable = ~np.isnan(values)
    rows = usable.any(axis=1) if searcher.capabilities.incomplete_rows else usable.all(axis=1)
    if rows.any():
        archs = archs_of(frame)
        searcher.tell([archs[i] for i in np.flatnonzero(rows)], values[rows], view.noise(frame)[rows])
    if searcher.capabilities.screening and guesses.value:
        column = np.array([o.metric == "accuracy" for o in view.objectives])
        guessed = np.where(column, np.array([*guesses.value.values()])[:, None], np.nan)
        by_id = frame.attrs["archs"]
        searcher.hint([by_id[i] for i in guesses.value], guessed, np.full_like(guessed, guesses.error))
