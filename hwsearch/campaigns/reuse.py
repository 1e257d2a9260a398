"""Reuse of a campaign for a new device: settings, accuracies, and latencies of other devices to learn from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from hwsearch._json import JsonObject
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.estimates import latency_estimates
from hwsearch.campaigns.loading import CONFIG_FILE, load_config, with_absolute_paths
from hwsearch.campaigns.lookup import accuracy_protocol, find_accuracy, latency_rows
from hwsearch.campaigns.progress import Progress
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.search_config import FEWEST
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import REUSED
from hwsearch.campaigns.target import Target
from hwsearch.campaigns.trust import foreign_part
from hwsearch.errors import CampaignError, ConfigError, DeviceError, SpaceError, nearest
from hwsearch.store import Store

#: tables that a configuration without them takes from the former campaign; the others are matters of a device or of a host
SHARED = ("supernet", "data", "objective", "protocol", "profile", "search", "validate_")


@dataclass(frozen=True)
class Reused:
    """Measurements and settings taken over from a former campaign.

    Attributes
    ----------
    folder : str
        Its folder.
    accuracies : int
        Subnets whose accuracy on the validation data is known from it.
    latencies : dict of str to int
        Its devices, and the subnets that were timed on each.
    """

    folder: str
    accuracies: int
    latencies: dict[str, int]


def open_for_device(
    source: Campaign | Path | str,
    reuse: Path | str,
    device: str | None,
    *,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    trust: bool = False,
) -> Campaign:
    """Open the campaign of a new device.

    A configuration file needs no more than that one ``[[device]]``: of `SHARED`, what it lacks is as in the former campaign.
    Objectives of that campaign's own devices are left out.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    reuse : path or str
        The former campaign's folder; only read.
    device : str, optional
        Name of the new device, the only one of the configuration.
    folder : path, optional
        Where the campaign lies; by default what the configuration says, or ``runs/NAME``.
    progress : Progress, optional
        Receives the steps of long work.
    trust : bool
        Execute what either configuration names even if another user wrote it.

    Returns
    -------
    Campaign
        As of `Campaign.open`.

    Raises
    ------
    CampaignError
        If `reuse` is no campaign or the same one, or there are several devices.
    ConfigError
        If a configuration is wrong, or they do not go together.
    DeviceError
        If there is no such device.
    """
    former = former_config(reuse)
    if isinstance(source, Campaign):
        campaign = source
        campaign.trusted |= trust
    elif Path(source).is_file():
        path = Path(source)
        config = _joined(load_config(path), former, str(path), str(reuse))
        place = Path(folder or config.folder or Path("runs") / path.stem)
        _check_place(place, reuse)
        campaign = Campaign.open(config, folder=place, progress=progress)
        campaign.foreign = foreign_part(path, Path(reuse), Path(reuse) / CONFIG_FILE)
        campaign.trusted = trust
    else:
        campaign = Campaign.open(source, folder=folder, progress=progress, trust=trust)
    _check_place(campaign.folder, reuse)
    names = [d.name for d in campaign.asked.device]
    if device is not None and device not in names:
        raise DeviceError(f"the new campaign has no device {device!r}.", hint=nearest(device, names))
    if len(names) > 1:
        raise CampaignError(
            f"the new campaign has {len(names)} devices: {', '.join(names)}.",
            hint="Give each new device a configuration of its own, with one [[device]].",
        )
    if names[0] in [d.name for d in former.device]:
        raise CampaignError(
            f"device {names[0]!r} is one of {str(reuse)!r} already.",
            hint="Run that campaign on, or give the new device another name.",
        )
    return campaign


def former_config(folder: Path | str) -> CampaignConfig:
    """Read the configuration of a former campaign.

    Parameters
    ----------
    folder : path or str
        Its folder.

    Returns
    -------
    CampaignConfig
        With absolute paths.

    Raises
    ------
    CampaignError
        If it is no campaign.
    ConfigError
        If its configuration is wrong.
    """
    path = Path(folder) / CONFIG_FILE
    if not path.exists():
        raise CampaignError(
            f"{str(folder)!r} is not a campaign to reuse: it has no {CONFIG_FILE}.",
            hint="Give the folder of a campaign, as 'hwsearch run' leaves it.",
        )
    return with_absolute_paths(load_config(path))


def _check_place(place: Path, reuse: Path | str) -> None:
    if place.absolute().resolve() == Path(reuse).absolute().resolve():
        raise CampaignError(
            f"{str(reuse)!r} cannot be reused by itself: it would be changed.",
            hint="Give the new device's campaign a --folder of its own.",
        )


def _joined(own: CampaignConfig, former: CampaignConfig, where: str, reuse: str) -> CampaignConfig:
    """Complete a configuration by the tables of a former one."""
    taken = {name: getattr(former, name) for name in SHARED if name not in own.model_fields_set}
    names = {d.name for d in own.device}
    if "objective" in taken:
        taken["objective"] = tuple(o for o in former.objective if o.device is None or o.device in names)
    if "search" in taken:
        taken["search"] = former.search.model_copy(update={"deployment": "per-device"})
    joined = own.model_copy(update=taken)
    try:
        return CampaignConfig.model_validate(joined.model_dump(by_alias=True))
    except ValidationError as error:
        said = "; ".join(p["msg"].removeprefix("Value error, ") for p in error.errors())
        raise ConfigError(
            f"{where} and the configuration of {reuse!r} do not go together: {said}.",
            hint=f"Write the table in question into {where}.",
        ) from None


def reuse_measurements(campaign: Campaign, target: Target, folder: Path | str) -> Reused:
    """Take over what a former campaign measured: accuracies as they are, latencies of its devices as sources.

    Parameters
    ----------
    campaign : Campaign
        The new device's.
    target : Target
        The new device.
    folder : path or str
        The former campaign's folder; only read.

    Returns
    -------
    Reused
        What is known from it. Taking it over again changes nothing.

    Raises
    ------
    CampaignError
        If it is of another search space, has no accuracies by these weights on these data, or has timed the new device.
    """
    former, name = former_config(folder), str(folder)
    own, digest = campaign.space, campaign.loaded.digest
    with Store.open(former.store or Path(folder) / "store.sqlite", create=False) as old:
        known = {fingerprint: device for fingerprint, (device, _) in old.devices().items()}
        if target.fingerprint in known:
            raise CampaignError(
                f"device {target.name!r} is one of {name!r} already, as {known[target.fingerprint]!r}.",
                hint="Run that campaign on: what is measured there serves it.",
            )
        try:
            archs = old.architectures(own)
        except SpaceError as error:
            raise _other_space(name, own.name) from error
        if not archs and former.supernet != campaign.asked.supernet:
            raise _other_space(name, own.name)
        ids = {a.id for a in archs}
        rows = [m for m in old.find(metric="accuracy", supernet=digest) if m.arch_id in ids]
        usable = _usable(campaign, {(m.subject, m.protocol) for m in rows}, name, len(rows))
        rows = [replace(m, run=None) for m in rows if (m.subject, m.protocol) in usable]
        latencies: dict[str, dict[str, float]] = {}
        for fingerprint, device in known.items():
            found = latency_estimates(latency_rows(old, fingerprint, digest), {SEARCH: former.protocol})[SEARCH]
            values = {i: float(m.value) for i, m in found.items() if m.value is not None and i in ids}
            if values:
                latencies[device] = values
    needed = {m.arch_id for m in rows}.union(*latencies.values())
    campaign.enter([a for a in archs if a.id in needed])
    campaign.store.add(rows)
    accuracies = len(find_accuracy(campaign, Split.VALIDATION, SEARCH))
    if accuracies < FEWEST:
        raise CampaignError(
            f"{name!r} has {accuracies} accuracies on the validation data; a predictor needs {FEWEST}.",
            hint="Run 'hwsearch profile' and 'hwsearch evaluate' there first.",
        )
    state: JsonObject = {"folder": name, "latencies": latencies}
    if campaign.store.get_state(REUSED) != state:
        campaign.store.put_state(REUSED, state)
    return Reused(name, accuracies, {device: len(values) for device, values in latencies.items()})


def _usable(campaign: Campaign, found: set[tuple[str, str]], name: str, count: int) -> set[tuple[str, str]]:
    """Return the (subject, protocol) of accuracies that count in a campaign; an error that says what differs if none does."""
    if not count:
        raise CampaignError(
            f"{name!r} has no accuracy of a subnet with these weights.",
            hint="Reuse a campaign on the same supernet and checkpoint that has been evaluated.",
        )
    subjects = {campaign.example_subject(split): split for split in (Split.VALIDATION, Split.TEST)}
    protocol = accuracy_protocol(campaign)
    validation = {p for s, p in found if subjects.get(s) == Split.VALIDATION}
    if not validation:
        raise CampaignError(
            f"the accuracies of {name!r} were measured on other data than this campaign's.",
            hint="Leave [data] out of the new configuration to have the same.",
        )
    if protocol not in validation:
        raise CampaignError(
            f"the accuracies of {name!r} were measured with {', '.join(sorted(validation))}, not {protocol}.",
            hint="Leave [data] out of the new configuration to have the same.",
        )
    return {(s, p) for s, p in found if s in subjects and p == protocol}


def _other_space(name: str, own: str) -> CampaignError:
    return CampaignError(
        f"{name!r} is a campaign on another search space than {own!r}.",
        hint="Reuse a campaign on the same supernet.",
    )
