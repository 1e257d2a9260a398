"""Measure verified accuracies. Results already in the store are reused; each new one is committed as soon as it exists."""

from __future__ import annotations

from collections.abc import Sequence

from hwsearch.accuracy import Score
from hwsearch.accuracy.certified import check_bounds, verified_score
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.accuracy import measure_accuracy, measure_shared, score_row
from hwsearch.campaigns.jobs.workloads import ready_subnet
from hwsearch.campaigns.lookup import score_protocol
from hwsearch.campaigns.purpose import SEARCH, Purpose
from hwsearch.campaigns.split import Split
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement

#: the metric's name
VERIFIED = "verified_accuracy"


def measure_scores(
    campaign: Campaign,
    archs: Sequence[Architecture],
    *,
    split: Split = Split.VALIDATION,
    purpose: Purpose = SEARCH,
    stage: str = "evaluate",
) -> dict[str, Measurement]:
    """Measure the accuracy of every architecture, and its verified accuracy where that is an objective.

    Parameters
    ----------
    campaign, archs, split, purpose, stage
        As of `hwsearch.campaigns.jobs.accuracy.measure_accuracy`.

    Returns
    -------
    dict of str to Measurement
        Accuracies by architecture id, as of `measure_accuracy`.

    Raises
    ------
    BoundError
        If the networks cannot be certified.
    """
    found = measure_accuracy(campaign, archs, split=split, purpose=purpose, stage=stage)
    if campaign.certified:
        measure_verified(campaign, archs, split=split, purpose=purpose, stage=f"{stage} verified")
    return found


def check_certified(campaign: Campaign) -> None:
    """Check that the smallest and the largest subnet can be certified, where verified accuracy is an objective.

    Parameters
    ----------
    campaign : Campaign
        What is checked.

    Raises
    ------
    BoundError
        If an operator is not covered, or the task's inputs are not pixels.
    """
    if campaign.certified:
        net, task = campaign.loaded.net, campaign.loaded.task
        for arch in (campaign.space.smallest(), campaign.space.largest()):
            data = campaign.data[Split.VALIDATION]
            check_bounds(task, net.subnet(arch), data, net.input_size(arch), campaign.config.certified.epsilon)


def measure_verified(
    campaign: Campaign,
    archs: Sequence[Architecture],
    *,
    split: Split = Split.VALIDATION,
    purpose: Purpose = SEARCH,
    stage: str = "verify",
) -> dict[str, Measurement]:
    """Measure the verified accuracy of every architecture on one data split; each is stored as soon as it is known.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet, data, store and ``[certified]``.
    archs : sequence of Architecture
        What is certified.
    split : Split
        The data.
    purpose : Purpose
        What it is certified for.
    stage : str
        Name of the step, for progress.

    Returns
    -------
    dict of str to Measurement
        In percent, by architecture id; what cannot be measured is missing.

    Raises
    ------
    BoundError
        If an operator is not covered, or the task's inputs are not pixels.
    """
    config, data, batch = campaign.config.certified, campaign.data[split], campaign.config.data.batch
    data = data.head(config.images) if config.images is not None and config.images < len(data) else data

    def score(arch: Architecture) -> Score:
        net, size = ready_subnet(campaign, arch), campaign.loaded.net.input_size(arch)
        return verified_score(campaign.loaded.task, net, data, size, config.epsilon, batch=batch)

    def row(arch: Architecture, value: Score | None, started: str, failure: str | None) -> Measurement:
        return _row(campaign, arch, value, split, purpose, started, failure=failure)

    known = measure_shared(
        campaign, archs, VERIFIED, score, row, lambda took: f"{len(data):,} images each, epsilon {config.epsilon:.3g}",
        split=split, purpose=purpose, stage=stage,
    )  # fmt: skip
    if len(known) > 1 and not any(m.value for m in known.values()):
        campaign.progress.warn(
            f"no image is verified for any of {len(known)} subnets at epsilon {config.epsilon:.3g}: nothing can be chosen by "
            "verified accuracy. Train the supernet with the strategy 'certified', or set a smaller [certified] epsilon."
        )
    return known


def _row(
    campaign: Campaign,
    arch: Architecture,
    score: Score | None,
    split: Split,
    purpose: Purpose,
    started: str,
    *,
    failure: str | None = None,
) -> Measurement:
    """Make a verified accuracy, or the failure to get one, as the store keeps it; with a 95 % interval."""
    images, most = campaign.config.certified.images, len(campaign.data[split])
    return score_row(
        arch,
        VERIFIED,
        score,
        subject=campaign.example_subject(split),
        protocol=score_protocol(campaign, VERIFIED),
        purpose=purpose,
        unit="%",
        details={
            "images": min(images or most, most),
            "epsilon": campaign.config.certified.epsilon,
            "method": "interval bound propagation",
            "split": str(split),
        },
        started=started,
        failure=failure,
        weights=campaign.loaded.digest,
    )
