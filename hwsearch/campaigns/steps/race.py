"""Race candidates on the test images: only those that may be on a front are evaluated on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.accuracy import Accuracy, front_accuracy
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.estimates import latency_estimates
from hwsearch.campaigns.jobs.accuracy import accuracy_row, measure_accuracy
from hwsearch.campaigns.jobs.sharing import share_jobs, shared_job
from hwsearch.campaigns.lookup import find_accuracy, latency_rows
from hwsearch.campaigns.purpose import VALIDATE, Purpose
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import race_state
from hwsearch.errors import CampaignError
from hwsearch.objectives.computed import computed_metric
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement, utc_now


def race_accuracy(
    campaign: Campaign, archs: Sequence[Architecture], latencies: Mapping[str, Mapping[str, Measurement]]
) -> None:
    """Measure top-1 on all test images of the candidates that may be on the front of some device; drop the others.

    A candidate is dropped when another, not worse in any objective on any device, is more accurate with confidence
    (`hwsearch.accuracy.race`), so each device's own front keeps its members. Each finished candidate is stored at once, like
    all evaluations; the dropped ones in the store's state at the end. Neither is raced again.

    Parameters
    ----------
    campaign : Campaign
        Whose data, with ``[validate] race_error``.
    archs : sequence of Architecture
        The candidates.
    latencies : mapping of str to mapping
        By device and architecture id.

    Raises
    ------
    CampaignError
        If the campaign's score does not count right answers.
    """
    config, entry = campaign.config.validate_, campaign.loaded.entry
    task = campaign.loaded.task
    test, calibration = campaign.data["test"], campaign.data.get("calibration")
    if not task.counts_correct:
        raise CampaignError(
            f"[validate] race_error needs a score that counts right answers; {task.score_name} of {entry.name!r} does not.",
            hint="Remove it: all candidates are evaluated then.",
        )
    everywhere = [a for a in archs if all(a.id in found for found in latencies.values())]
    if len(everywhere) < len(archs):  # what one device could not run cannot be compared on it
        measure_accuracy(campaign, [a for a in archs if a not in everywhere], split=Split.TEST, purpose=VALIDATE)
    archs = everywhere
    if not archs:
        return
    costs = _costs(campaign, archs, latencies)
    state = race_state(
        [a.id for a in archs],
        costs.tolist(),
        weights=campaign.loaded.digest,
        subject=campaign.example_subject(Split.TEST),
        error=config.race_error,
        tolerance=config.race_tolerance,
    )
    if campaign.store.get_state(state):
        return

    def race(key: str) -> list[Measurement]:
        """Race, unless another process just has."""
        if campaign.store.get_state(state):
            return []
        known = find_accuracy(campaign, Split.TEST, VALIDATE)
        records = {
            i: task.unpack(known[a.id].record or b"", len(test)).correct for i, a in enumerate(archs) if a.id in known
        }
        answers = {i: np.zeros(len(test), dtype=bool) for i in range(len(archs)) if i not in records}
        counts = dict.fromkeys(answers, 0)
        started = utc_now()
        with campaign.progress.task("validate race", len(answers) * len(test), task.examples) as bar:

            def note(i: int, index: np.ndarray, correct: np.ndarray) -> None:
                answers[i][index] = correct
                counts[i] += len(index)
                if counts[i] == len(test):
                    score = Accuracy(answers[i])
                    campaign.store.add([accuracy_row(campaign, archs[i], score, Split.TEST, VALIDATE, started)])
                bar.update(sum(counts.values()))

            result = front_accuracy(
                task,
                campaign.loaded.net,
                archs,
                costs,
                calibration,
                test,
                rng=campaign.rng("race"),
                error=config.race_error or 0.05,
                tolerance=config.race_tolerance,
                batch=campaign.config.data.batch,
                known=records,
                answered=note,
            )
            bar.update(len(answers) * len(test))
            campaign.store.add(
                [
                    accuracy_row(campaign, archs[i], None, Split.TEST, VALIDATE, started, failure=text)
                    for i, text in result.failures.items()
                ]
            )
            seen = sum(counts.values())
            dropped = {
                archs[i].id: {"top1_at_most": float(result.bound[i]), "images": int(result.seen[i])}
                for i in np.flatnonzero(result.covered_by >= 0)
            }
            spent = {
                "images": seen,
                "of": len(answers) * len(test),
                "error": result.error,
                "tolerance": result.tolerance,
            }
            campaign.store.put_state(state, {"dropped": dropped, **spent})
            share = f"{seen:,} of {len(answers) * len(test):,} {task.examples}" if answers else "all were known"
            bar.note(f"{len(dropped)} dropped · {share} · error ≤ {100 * result.error:g} %")
        return []

    share_jobs(campaign, [shared_job(campaign, state, campaign.example_subject(Split.TEST))], race)


def raced_latencies(campaign: Campaign, rounds: int) -> dict[str, dict[str, Measurement]]:
    """Find the latencies that candidates race with: those of the first rounds, which later ones do not change.

    Parameters
    ----------
    campaign : Campaign
        Whose devices.
    rounds : int
        Number of rounds.

    Returns
    -------
    dict of str to dict
        By device and architecture id.
    """
    found = {}
    for target in campaign.targets.values():
        protocol = campaign.final_protocol.key
        rows = latency_rows(campaign.store, target.fingerprint, campaign.loaded.digest, protocol=protocol)
        purposes = ((m, Purpose.parse(m.purpose)) for m in rows)
        first = [m for m, p in purposes if p.is_final and p.round <= rounds]
        found[target.name] = latency_estimates(first, {VALIDATE: campaign.final_protocol})[VALIDATE]
    return found


def _costs(
    campaign: Campaign, archs: Sequence[Architecture], latencies: Mapping[str, Mapping[str, Measurement]]
) -> FloatArray:
    """Return (n, k) costs: latency on every device and each other objective but accuracy, all to be minimised."""
    columns = [[float(found[a.id].value or 0.0) for a in archs] for found in latencies.values()]
    rows = campaign.space.to_array(archs)
    others = {o.metric: o.sign for t in campaign.targets for o in campaign.objectives(t)}
    for metric, sign in others.items():
        if metric not in ("accuracy", "latency_ms"):
            columns.append(list(sign * computed_metric(metric).values(campaign.loaded.net, rows)))
    return np.array(columns, dtype=np.float64).T
