"""From the store to the report: gathers what was measured into `ReportData` and writes page, plots and tables."""

from __future__ import annotations

from hwsearch.accuracy import Z90
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.accuracy import doubts, recorded
from hwsearch.campaigns.known import find_accuracy, find_latency
from hwsearch.campaigns.steps.fronts import MEMBERSHIP
from hwsearch.campaigns.view import views


def _unsettled(campaign: Campaign) -> list[str]:
    """What is said of fronts whose members are not all sure, after all rounds."""
    known = campaign.store.get_state(MEMBERSHIP)
    if known is None:
        return []
    wanted, found = float(known["confidence"]), []
    for view in views(campaign):
        open_ = {
            i: p for i, (p, _) in known["views"].get(view.key, {}).items() if max(p, 1 - p) < wanted
        }  # fmt: skip
        if open_:
            some = ", ".join(f"{i} ({p:.2f})" for i, p in sorted(open_.items(), key=lambda kv: -kv[1])[:5])
            found.append(
                f"{view.name}: whether {len(open_)} subnet{'s belong' if len(open_) > 1 else ' belongs'} to the front is not "
                f"settled with {100 * wanted:g} %; probability: {some}{', …' if len(open_) > 5 else ''}."
            )
    return found


def _warnings(campaign: Campaign) -> list[str]:
    found = [*campaign.data_warnings, *doubts(campaign, find_accuracy(campaign, "validation", "search").values())]
    for target in campaign.targets.values():
        if target.facts.get("simulated"):
            fit = target.facts.get("interpolator")
            error = f", between its rows by a fit with {fit['mape_percent']} % error" if fit else ""
            found.append(
                f"{target.name} is simulated from the latency table {target.facts['table']}{error}: its latencies are "
                "no measurements of this campaign."
            )
        rows = list(find_latency(campaign, target, "validate").values())
        loose = [m for m in rows if not m.details["converged"]]
        if loose:
            half = 100 * campaign.final_protocol.half_width
            worst = max(float(m.details["precision_pct"]) for m in loose)
            found.append(
                f"{target.name}: {len(loose)} of {len(rows)} final latencies did not reach ±{half:g} % within their processes; the widest is ±{worst:.1f} %."
            )
        moved = sum(bool(m.details.get("moved")) for m in rows)
        if moved:
            found.append(
                f"{target.name}: the host was never near its calibrated speed while {moved} of {len(rows)} final latencies "
                "were measured, twice; they are corrected, and less sure than they say."
            )
        cut = sum(int(m.details.get("throttled") or 0) for m in rows)
        if cut:
            found.append(
                f"{target.name}: the container's CPU quota throttled the process while the final latencies were measured."
            )
        failures = campaign.store.failures(subject=target.fingerprint, supernet=campaign.loaded.digest)
        if failures:
            found.append(f"{target.name}: {len(failures)} measurements failed; see measurements.csv.")
    found += _unsettled(campaign)
    best = [m for m in find_accuracy(campaign, "test", "validate").values() if m.record]
    if len(best) >= 2:
        ranked = sorted(best, key=lambda m: -(m.value or 0))[:2]
        pair = [recorded(campaign, m) for m in ranked]
        gap, se = pair[0].difference(pair[1])
        if gap < Z90 * se:
            found.append(
                f"The two most accurate subnets ({ranked[0].arch_id}, {ranked[1].arch_id}) cannot be told apart: {gap:.2f} ± {Z90 * se:.2f} points on the same {campaign.loaded.task.examples}."
            )
    return found
