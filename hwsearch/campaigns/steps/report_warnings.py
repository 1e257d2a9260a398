"""The warnings of a report."""

from __future__ import annotations

from hwsearch.accuracy import Z95
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.host_speed import host_speed
from hwsearch.campaigns.jobs.accuracy import checkpoint_warnings, recorded_score
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.plan import budget_words
from hwsearch.campaigns.target import Target
from hwsearch.campaigns.views import views
from hwsearch.devices.timing.level import HostLevel

#: share of the time from which on another speed of a host is worth a word
SHARE_OF_A_SPEED = 0.1
#: share of its typical time from which on an undisturbed host is worth a word
NEARLY = 0.95


def report_warnings(campaign: Campaign, known: Known) -> list[str]:
    """Return what a reader of the report should know before trusting it.

    Parameters
    ----------
    campaign : Campaign
        Whose report.
    known : Known
        What the store holds.

    Returns
    -------
    list of str
        Sentences on data leakage, doubtful scores, simulated devices, wide intervals, unsettled fronts, and so on.
    """
    scores = known.accuracy(Split.VALIDATION)
    found = [*campaign.leakage_warnings, *checkpoint_warnings(campaign, scores)]
    found += filter(None, [budget_words(campaign)])
    for target in campaign.targets.values():
        found += _device_warnings(campaign, known, target)
    return found + _unsettled(campaign, known) + _indistinguishable(campaign, known)


def _unsettled(campaign: Campaign, known: Known) -> list[str]:
    """Return warnings on fronts whose members are not all sure, after all rounds."""
    wanted = known.confidence
    if wanted is None:
        return []
    found = []
    for view in views(campaign):
        open_ = {i: p for i, (p, _) in known.memberships.get(view.key, {}).items() if max(p, 1 - p) < wanted}
        if open_:
            some = ", ".join(f"{i} ({p:.2f})" for i, p in sorted(open_.items(), key=lambda kv: -kv[1])[:5])
            found.append(
                f"{view.name}: whether {len(open_)} subnet{'s belong' if len(open_) > 1 else ' belongs'} to the front is not "
                f"settled with {100 * wanted:g} %; probability: {some}{', …' if len(open_) > 5 else ''}."
            )
    return found


def _device_warnings(campaign: Campaign, known: Known, target: Target) -> list[str]:
    found = []
    if target.facts.get("simulated"):
        fit = target.facts.get("interpolator")
        error = f", between its rows by a fit with {fit['mape_percent']} % error" if fit else ""
        found.append(
            f"{target.name} is simulated from the latency table {target.facts['table']}{error}: its latencies are "
            "no measurements of this campaign."
        )
    rows = list(known.latency(target.name, VALIDATE).values())
    loose = [m for m in rows if not m.details["converged"]]
    if loose:
        half = 100 * campaign.final_protocol.half_width
        worst = max(float(m.details["precision_pct"]) for m in loose)
        found.append(
            f"{target.name}: {len(loose)} of {len(rows)} final latencies did not reach ±{half:g} % within their processes; the widest is ±{worst:.1f} %."
        )
    level = host_speed(known, target.name, campaign.final_protocol.confidence)
    if level is not None and level.verdict in ("wandering", "hostile"):
        share = level.undisturbed_ms / level.typical_ms
        undisturbed = (
            f" While nothing disturbs the host, it takes {100 * share:.0f} % of its typical time ('latency_ms_undisturbed' "
            "in the table)."
            if share < NEARLY
            else ""
        )
        low, high = level.ends
        found.append(
            f"{target.name}: the host's speed wandered by ±{100 * level.spread:.1f} % over {level.seconds / 60:.0f} minutes."
            f"{_speeds(level)} Another campaign of that length finds its typical latency {100 * low:+.1f} to {100 * high:+.1f} % "
            "from what it was, and all latencies move with it; their ratios, and so the order on the front, are known as well "
            "as the intervals say." + undisturbed
        )
    host = known.hosts.get(target.name)
    load = host.other_work() if host is not None else None
    if load is not None:
        found.append(
            f"{target.name}: the host was busy with other programs as well ({load:.1f} processes wanted each core). Intervals reach "
            "down to the latency while nothing disturbs it, where that can be told."
        )
    cut = sum(int(m.details.get("throttled") or 0) for m in rows)
    if cut:
        found.append(
            f"{target.name}: the container's CPU quota throttled the process while the final latencies were measured."
        )
    failures = known.failed_on(target.name)
    if failures:
        found.append(f"{target.name}: {failures} measurements failed; see measurements.csv.")
    return found


def _speeds(level: HostLevel) -> str:
    """Return a sentence on a host that has several speeds, if it has."""
    several = [s for s in level.speeds if s.share >= SHARE_OF_A_SPEED]
    if len(several) < 2:
        return ""
    told = [f"{s.reference_ms / level.typical_ms:.2f} times as long for {100 * s.share:.0f} %" for s in several[1:]]
    return (
        f" It has {len(several)} speeds: latencies are those at the one that it had for {100 * several[0].share:.0f} % of the "
        f"time; they take {' and '.join(told)}."
    )


def _indistinguishable(campaign: Campaign, known: Known) -> list[str]:
    """Return a warning if the two most accurate subnets cannot be told apart."""
    best = [m for m in known.accuracy(Split.TEST, VALIDATE).values() if m.record]
    if len(best) < 2:
        return []
    ranked = sorted(best, key=lambda m: -(m.value or 0))[:2]
    pair = [recorded_score(campaign, m) for m in ranked]
    gap, se = pair[0].difference(pair[1])
    if gap >= Z95 * se:
        return []
    return [
        f"The two most accurate subnets ({ranked[0].arch_id}, {ranked[1].arch_id}) cannot be told apart: "
        f"{gap:.2f} ± {Z95 * se:.2f} points (95 %) on the same {campaign.loaded.task.examples}."
    ]
