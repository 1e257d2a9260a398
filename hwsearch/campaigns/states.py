"""Names under which a campaign keeps its documents in the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.target import Target

#: seconds of each step
SECONDS = "seconds"
#: scores of the fitted predictors
FIT = "fit"
#: how the search ended
SEARCH_END = "search"
#: the candidates that were measured afresh
CANDIDATES = "validate"
#: how sure it is which subnet is on which front
MEMBERSHIP = "membership"
#: what was taken over from a campaign for other devices
REUSED = "reused"
#: further tasks of the largest subnet
TASKS = "tasks"


def new_device_state(tactic: str, seed: int, fingerprint: str) -> str:
    """Name the rounds in which subnets are chosen and evaluated for a new device.

    Parameters
    ----------
    tactic : str
        Of the search.
    seed : int
        Of the search.
    fingerprint : str
        Of the device.

    Returns
    -------
    str
        The document's name.
    """
    return f"new-device:{tactic}:{seed}:{fingerprint}"


def operators_state(fingerprint: str, weights: str) -> str:
    """Name the reference time of a device's operator profiles.

    Parameters
    ----------
    fingerprint : str
        Of the device.
    weights : str
        Digest of the supernet.

    Returns
    -------
    str
        The document's name.
    """
    return f"operators:{fingerprint}:{weights}"


def search_state(config: CampaignConfig, targets: Sequence[Target]) -> str:
    """Name the proposals of a search by all they depend on, besides what is measured.

    Parameters
    ----------
    config : CampaignConfig
        The campaign's configuration.
    targets : sequence of Target
        Its devices.

    Returns
    -------
    str
        The document's name; another tactic, seed, preference or set of devices has another.
    """
    c = config.search
    devices = ",".join(f"{t.name}={t.fingerprint}" for t in targets)
    name = f"search:{c.tactic}:{c.seed}:{c.per_round}:{devices}"
    if c.prefer != "front":
        name += f":{c.prefer}{sorted((c.reference or {}).items()) if c.reference else ''}"
    if c.deployment != "per-device":
        name += f":{c.deployment}" + ",".join(f"{d.weight:g}" for d in config.device)
    if c.warm_start:
        name += ":" + ",".join(c.warm_start)
    if c.screening_factor > 1:
        name += f":screen {c.screening_factor} {','.join(sorted(set(c.screening_metrics)))} {c.screening_images}"
    if c.fidelities:
        name += f":fidelities {','.join(map(str, c.fidelities))}"
    return name


def rounds_state(
    config: CampaignConfig,
    targets: Sequence[Target],
    arch_ids: Sequence[str],
    *,
    weights: str,
    subject: str,
    protocol: str,
) -> str:
    """Name the further rounds of final measurements, which settle who is on a front, by all they depend on.

    Parameters
    ----------
    config : CampaignConfig
        The campaign's configuration.
    targets : sequence of Target
        Its devices.
    arch_ids : sequence of str
        The candidates.
    weights : str
        Digest of the supernet.
    subject : str
        What the scores on the test data depend on.
    protocol : str
        Key of the final protocol.

    Returns
    -------
    str
        The document's name.
    """
    devices = [(t.name, t.fingerprint) for t in targets]
    membership, deployment = config.validate_.membership, config.search.deployment
    most = [] if config.validate_.per_round is None else [config.validate_.per_round]
    return f"settle:{_digest([weights, subject, protocol, devices, sorted(arch_ids), membership, deployment, *most])}"


def spread_state(
    targets: Sequence[Target], arch_ids: Sequence[str], *, weights: str, protocol: str, fewest: int
) -> str:
    """Name the rounds that time again what has not converged, by all they depend on.

    Parameters
    ----------
    targets : sequence of Target
        The devices.
    arch_ids : sequence of str
        The candidates.
    weights : str
        Digest of the supernet.
    protocol : str
        Key of the final protocol.
    fewest : int
        Rounds that all candidates have.

    Returns
    -------
    str
        The document's name.
    """
    return (
        f"spread:{_digest([weights, protocol, [(t.name, t.fingerprint) for t in targets], sorted(arch_ids), fewest])}"
    )


def race_state(
    arch_ids: Sequence[str],
    costs: list[list[float]],
    *,
    weights: str,
    subject: str,
    error: float | None,
    tolerance: float,
) -> str:
    """Name the outcome of a race for test accuracy by all it depends on.

    Parameters
    ----------
    arch_ids : sequence of str
        The candidates.
    costs : list of list of float
        Their other objectives, a row a candidate.
    weights : str
        Digest of the supernet.
    subject : str
        What the scores depend on.
    error, tolerance : float
        ``[validate] race_error`` and ``race_tolerance``.

    Returns
    -------
    str
        The document's name.
    """
    return f"race:{_digest([subject, weights, list(arch_ids), costs, error, tolerance])}"


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
