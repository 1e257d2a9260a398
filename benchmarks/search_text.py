"""The result of the search benchmark as text."""

from __future__ import annotations

from typing import Any

from benchmarks.search_figures import NEW_AT
from benchmarks.search_plots import AT
from benchmarks.search_runs import KNOWN
from benchmarks.search_task import Best


def table(
    name: str,
    task: dict[str, dict[str, Any]],
    facts: dict[str, float],
    best: Best,
    bound: dict[str, Any] | None = None,
) -> str:
    """Write one task as text: a line a tactic, the best first."""
    head = ", ".join(f"{key} {value:.4g}" for key, value in facts.items())
    lines = [f"\n{name}   ({head})" if head else f"\n{name}"]
    first = next(iter(task.values()))
    if "share" in first:
        at = [str(n) for n in AT if any(str(n) in figures["share"] for figures in task.values())]
        targets = list(first["reaches"])
        lines.append(
            f"best known: {len(best.rows)} architectures on the front; columns: median share of its hypervolume"
        )
        lines.append(
            f"{'tactic':<24}"
            + "".join(f"{n:>7}" for n in at)
            + "".join(f"{t:>15}" for t in targets)
            + f"{'acc@limit':>11}{'seconds':>9}"
        )
        order = sorted(task, key=lambda t: -(task[t]["share"].get("150") or list(task[t]["share"].values())[-1])[1])
        for tactic in order:
            figures = task[tactic]
            shares = "".join(f"{figures['share'][n][1]:>7.3f}" if n in figures["share"] else f"{'':>7}" for n in at)
            reach = "".join(f"{figures['reaches'][t] or '-':>15}" for t in targets)
            limit = list(figures["accuracy_at_limit"].values())[-1][1]
            shown = f"{limit:.2f}" if limit is not None else "-"
            lines.append(f"{tactic:<24}{shares}{reach}{shown:>11}{figures['seconds'][1]:>9.1f}")
        lines += [
            f"ceiling of the pool of {tactic}: {figures['pool_ceiling'][1]:.3f}"
            for tactic, figures in task.items()
            if "pool_ceiling" in figures
        ]
        for n, shares in (bound or {}).get("oracle", {}).items():
            lines.append(f"best members known and each measured once, {n}: {shares[1]:.3f}")
        if bound and "all_once" in bound:
            lines.append(f"the whole table measured once: {bound['all_once'][1]:.3f}")
        return "\n".join(lines)
    lines.append(
        f"optimum {best.volume:.2f}; queries until it was evaluated, a run without it counting with {first['cap']}"
    )
    lines.append(f"{'tactic':<24}{'found':>7}{'quartiles':>20}{'mean':>8}{'acc@50':>9}{'acc@100':>9}{'seconds':>9}")
    for tactic in sorted(task, key=lambda t: task[t]["queries_mean"]):
        figures = task[tactic]
        spread = " ".join(f"{q:.0f}" for q in figures["queries"])
        accuracy = "".join(
            f"{figures['accuracy'][n][1]:>9.2f}" if n in figures["accuracy"] else f"{'':>9}" for n in ("50", "100")
        )
        lines.append(
            f"{tactic:<24}{figures['found']:>7.2f}{spread:>20}{figures['queries_mean']:>8.1f}{accuracy}{figures['seconds'][1]:>9.1f}"
        )
    return "\n".join(lines)


CAVEATS = """
What these figures are. ofa: accuracy and latency are surrogates, fitted on rows that searches had chosen (accuracy)
and on 5,000 uniform subnets (latency), with the errors printed above each table; a surrogate is smoother than the truth, and
its front's ends lie outside what was measured. 2080ti-b1 and v100-b1 are launch-bound: their latencies hardly follow the
architecture, and the surrogate says less of them. nb201: real accuracies and latencies; the noise of accuracy is the spread between
cells that are the same network. nb201-exact: search and report use one noise-free label, which is easier than WeakNAS's published
protocol, whose validation labels are not available. Best known fronts of ofa come from long noiseless searches and are no proof.
"""


def new_device_table(new: dict[str, Any]) -> str:
    """Show what few latencies of a new device give, a line a device."""
    lines = [
        f"\na new device: median share of its best known front, from {KNOWN} architectures known elsewhere",
        f"{'device':<24}{'from':>18}" + "".join(f"{n:>8}" for n in ("0", *map(str, NEW_AT), "all")),
    ]
    for device, figures in new.items():
        shares = "".join(f"{figures[n][1]:>8.3f}" for n in ("0", *map(str, NEW_AT), "all"))
        lines.append(f"{device:<24}{figures['from']:>18}{shares}")
    return "\n".join(lines)
