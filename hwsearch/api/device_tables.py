"""The verb `tables`: list, show, import, export and verify latency tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import latency_tables
from hwsearch._files import overwriting
from hwsearch._json import JsonObject
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.estimates import latency_estimates
from hwsearch.campaigns.lookup import latency_rows, timing_protocols
from hwsearch.campaigns.purpose import Purpose
from hwsearch.campaigns.recorded import as_recorded
from hwsearch.devices.table_errors import translated_table_errors
from hwsearch.errors import CampaignError, DataError, DeviceError, nearest
from hwsearch.spaces import SearchSpace
from hwsearch.store import Measurement
from latency_tables import Gene, TableError, TableSpace

ACTIONS = ("list", "show", "import", "export", "verify")
#: where tables of one's own go
OWN = Path("latency_tables")


def tables(
    action: str = "list",
    name: str | Path | None = None,
    *,
    folder: Path | str | None = None,
    description: Path | str | None = None,
    device: str | None = None,
    purpose: str = "search",
    licence: str = "not stated",
    trust: bool = False,
    force: bool = False,
) -> Any:
    """List, show, import, export or verify latency tables; the verb ``hwsearch tables``.

    Parameters
    ----------
    action : {"list", "show", "import", "export", "verify"}
        ``list``: one line a table. ``show``: description, faults and quantiles (ms) of DEVICE/TABLE, or what is said of
        DEVICE. ``import``: the tables that a CSV or parquet file holds. ``export``: the latencies measured on one device of a
        campaign. ``verify``: every table checked, or those of one device.
    name : str or Path, optional
        DEVICE, DEVICE/TABLE, file or campaign, as the action needs it.
    folder : Path or str, optional
        Of tables; by default the shipped ones, and ./latency_tables for what is written.
    description : Path or str, optional
        TOML file that says what the columns of an imported file are (see `latency_tables.importing`).
    device : str, optional
        To be exported; by default the only one.
    purpose : {"search", "validate"}
        Which latencies are exported.
    licence : str
        Of exported tables.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    list or dict
        Rows, or what was written.

    Raises
    ------
    DataError
        For an unknown action, and a table that is not sound.

    Examples
    --------
    >>> tables("show", "v100-b64")["hardware"]
    'NVIDIA V100'
    """
    place = Path(folder) if folder is not None else None
    with translated_table_errors(DataError), overwriting(force):
        if action == "list":
            return _list(place)
        if action == "verify":
            return latency_tables.verify(place, str(name) if name is not None else None)
        if action not in ACTIONS:
            raise DataError(f"unknown action {action!r} for tables.", hint=nearest(action, ACTIONS))
        if name is None:
            raise DataError(f"tables {action} needs a name.", hint="See 'hwsearch tables --help'.")
        if action == "show":
            return _show(str(name), place)
        if action == "import":
            if description is None:
                raise DataError(
                    "an import needs a description of the file: space, unit, source, licence, columns.",
                    hint="Give --description FILE.toml.",
                )
            return latency_tables.import_file(Path(name), Path(description), place or OWN)
        return export_table(
            as_recorded(Campaign.open(name, trust=trust)), device, place or OWN, purpose=purpose, licence=licence
        )


def _list(folder: Path | None) -> list[JsonObject]:
    rows = []
    for device in latency_tables.devices(folder):
        about = latency_tables.show(device, folder)
        for table in about.get("tables", {}):
            facts = latency_tables.table_facts(device, table, folder)
            rows.append(
                {
                    "table": f"{device}/{table}",
                    "hardware": about.get("hardware"),
                    "batch": about.get("batch"),
                    **{k: facts[k] for k in ("space", "rows", "measured", "licence")},
                }
            )
    return rows


def _show(name: str, folder: Path | None) -> JsonObject:
    device, slash, table = name.partition("/")
    about = latency_tables.show(device, folder)
    if not slash:
        return about
    facts = latency_tables.table_facts(device, table, folder)
    latency = latency_tables.load(device, table, folder)["latency_ms"]
    quantiles = {f"{100 * q:g} %": round(float(latency.quantile(q)), 6) for q in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)}
    head = {k: v for k, v in about.items() if k != "tables"}
    return {**head, **facts, "distinct_values": int(latency.nunique()), "latency_ms": quantiles}


def export_table(
    campaign: Campaign, device: str | None, folder: Path, *, purpose: str = "search", licence: str = "not stated"
) -> JsonObject:
    """Write what a campaign measured on a device as a table.

    Values and ends of intervals are those that the campaign's front and search go by: at the host's typical level.

    Parameters
    ----------
    campaign : Campaign
        With measured latencies.
    device : str or None
        Name or fingerprint; None for the only one.
    folder : Path
        Of tables.
    purpose : {"search", "validate"}
        Which latencies.
    licence : str
        Of the table.

    Returns
    -------
    dict
        ``device``, ``table``, ``rows``, ``folder``.

    Raises
    ------
    DeviceError
        When the store has no such device.
    CampaignError
        When nothing was measured on it.
    TableError
        When architectures do not fit the space, or another device or space of that name is in the folder.
    """
    fingerprint, name, facts = _device(campaign, device)
    rows = _measured(campaign, fingerprint, purpose)
    space = table_space(campaign.space)
    archs = {a.id: a.to_dict() for a in campaign.store.architectures(campaign.space, [m.arch_id for m in rows])}
    frame = pd.DataFrame([[archs[m.arch_id].get(n) for n in space.names] for m in rows], columns=space.names)
    genes, faults = space.typed(frame)
    if faults:
        raise TableError(f"the store's architectures do not fit space {space.name!r}:", faults)
    columns: dict[str, Callable[[Measurement], object]] = {
        "latency_ms": lambda m: m.value,
        "low_ms": lambda m: m.low,
        "high_ms": lambda m: m.high,
        "repeats": lambda m: m.repeats,
        "measured_at": lambda m: m.ended_at,
    }
    kinds = {"repeats": "Int64", "measured_at": "string"}
    measured = pd.DataFrame(
        {k: pd.Series([f(m) for m in rows], dtype=kinds.get(k, "float64")) for k, f in columns.items()}
    )
    simulated = bool(facts.get("simulated"))
    host = facts.get("host") or {}
    about = {
        "name": name,
        "hardware": str(facts.get("hardware") or host.get("cpu") or "not stated"),
        "runtime": str(facts.get("runtime", "not stated")),
        "batch": int(facts.get("batch", 1)),
        "unit": "ms",
        "fingerprint": fingerprint,
        "facts": facts,
    }
    said = {
        "statistic": "ratio to a reference in the same processes, times the typical latency of the reference over the campaign",
        "protocol": rows[0].protocol,
        "measured": "model" if simulated else "whole network",
        "source": f"measured with hwsearch on supernet {campaign.config.supernet.name}, weights {campaign.loaded.digest}",
        "licence": licence,
        "note": f"purpose {purpose}" + ("; simulated, not a measurement of hardware" if simulated else ""),
    }
    latency_tables.write(folder, about, space.name, pd.concat([genes, measured], axis=1), space, said)
    latency_tables.load(name, space.name, folder)
    return {"device": name, "table": space.name, "rows": len(rows), "folder": str(folder)}


def table_space(space: SearchSpace) -> TableSpace:
    """Write a search space as a table declares it.

    Parameters
    ----------
    space : SearchSpace
        The space.

    Returns
    -------
    TableSpace
        A gene a choice.
    """
    genes = [
        Gene(c.name, tuple(c.values), (), (c.when.name, tuple(c.when.values)) if c.when else None)
        for c in space.choices
    ]
    return TableSpace(space.name, tuple(genes), "a search space of hwsearch", "")


def _device(campaign: Campaign, device: str | None) -> tuple[str, str, JsonObject]:
    """Find (fingerprint, name, facts) of the device that is asked for, as the store knows it."""
    known = campaign.store.devices()
    names = sorted({name for name, _ in known.values()})
    if device is None and len(names) == 1:
        device = names[0]
    found = [(fp, name, facts) for fp, (name, facts) in known.items() if device in (name, fp)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"{len(found)} different devices have been named {device!r}.",
            hint=f"Name one by its fingerprint: {', '.join(fp for fp, *_ in found)}.",
        )
    if device is None:
        raise DeviceError(
            f"no device is named, and the store has measurements of {len(names)}.",
            hint=f"Name one with --device: {', '.join(names)}." if names else "Run 'hwsearch profile' first.",
        )
    raise DeviceError(f"the store has no measurements of a device {device!r}.", hint=nearest(device, names))


def _measured(campaign: Campaign, fingerprint: str, purpose: str) -> list[Measurement]:
    rows = latency_rows(campaign.store, fingerprint, campaign.loaded.digest)
    found = latency_estimates(rows, timing_protocols(campaign)).get(Purpose.parse(purpose), {})
    if not found:
        raise CampaignError(
            f"no latency for purpose {purpose!r} was measured on this device with the campaign's protocol.",
            hint="Run 'hwsearch profile' first.",
        )
    return list(found.values())
