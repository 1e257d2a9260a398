"""Predict what the steps of a campaign take, by its configuration and its pace."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwsearch.campaigns.budget.pace import Pace
from hwsearch.campaigns.config import CampaignConfig

#: the steps that a plan divides, in order
STEPS = ("profile", "evaluate", "fit", "search", "validate", "export", "report")
#: seconds on an idle core where nothing has been seen: a start of a measuring process, a subnet in it, an example
START_S, SUBNET_S, EXAMPLE_S = 2.5, 0.15, 0.0005
#: seconds of work that hardly depends on a campaign: a fit or a proposal for a front, a model's export, a report
FIT_S, PROPOSE_S, EXPORT_S, REPORT_S = 0.6, 1.5, 0.4, 2.0
#: share of the most candidates that fronts of several devices have together, and of all that a further round measures
SHARED, OPEN = 0.6, 0.5
#: models handed over for each front
PICKS = 3


@dataclass(frozen=True)
class Estimate:
    """Predicts seconds of steps.

    Parameters
    ----------
    config : CampaignConfig
        What is to be measured.
    pace : Pace
        Of this campaign.
    fronts : int
        Number of fronts.
    calibrated : bool
        Whether batch norms are recalibrated for each evaluation.
    slower : float
        How much longer than alone work takes of which nothing has been seen.
    candidates : int, optional
        How many are validated, where that is known.
    visits : float
        Share of the full time that each subnet is timed for, at most 1.
    """

    config: CampaignConfig
    pace: Pace
    fronts: int
    calibrated: bool = True
    slower: float = 1.0
    candidates: int | None = None
    visits: float = 1.0

    def evaluation(self, subnets: float, images: int) -> float:
        """Predict what it takes to score subnets.

        Parameters
        ----------
        subnets : float
            Their number.
        images : int
            Examples for each.

        Returns
        -------
        float
            Seconds.
        """
        each = images + (self.config.data.calibration_images if self.calibrated else 0)
        return self.pace.seconds("evaluate", subnets * each, default=EXAMPLE_S * self.slower)

    def timing(self, subnets: float, processes: float) -> float:
        """Predict what it takes to time subnets on all devices; those of other hosts work at the same time.

        Parameters
        ----------
        subnets : float
            Their number.
        processes : float
            Measuring processes of each.

        Returns
        -------
        float
            Seconds.
        """
        if not subnets:
            return 0.0
        groups = math.ceil(subnets / self.config.protocol.group)
        here, elsewhere = 0.0, [0.0]
        for device in self.config.device:
            start = self.pace.seconds(f"start {device.name}", groups * processes, default=START_S * self.slower)
            run = self.pace.seconds(f"time {device.name}", subnets * processes, default=SUBNET_S * self.slower)
            seconds = start + run * self.visits
            if device.name in self.config.fleet.remote:
                elsewhere.append(seconds)
            else:
                here += seconds
        return max(here, *elsewhere)

    def steps(self) -> dict[str, float]:
        """Predict the seconds of every step.

        Returns
        -------
        dict of str to float
            By name, in the order of the steps.
        """
        c = self.config
        usual = sum(c.protocol.processes) / 2
        fewest, most = c.validate_.processes
        n = self.candidates
        if n is None:
            n = round(c.validate_.candidates * max(1.0, SHARED * self.fronts))
        propose = self.pace.seconds("propose", self.fronts, default=PROPOSE_S * self.slower)
        a_round = (
            propose
            + self.evaluation(c.search.per_round, c.data.validation_images)
            + self.timing(c.search.per_round, usual)
        )
        validate = self.timing(n, fewest + (most - fewest) * OPEN) + self.evaluation(n, c.data.test_images)
        validate += c.validate_.rounds * self.timing(n * OPEN, 1)
        fits = 1 + len(c.device)
        return {
            "profile": self.timing(c.profile.latency, usual),
            "evaluate": self.evaluation(c.profile.accuracy, c.data.validation_images),
            "fit": self.pace.seconds("fit", fits, default=FIT_S * self.slower),
            "search": c.search.rounds * a_round,
            "validate": validate,
            "export": self.pace.seconds("export", PICKS * self.fronts, default=EXPORT_S * self.slower),
            "report": self.pace.seconds("report", default=REPORT_S * self.slower),
        }


def left(seconds: Mapping[str, float], first: str) -> float:
    """Add up the seconds from a step on.

    Parameters
    ----------
    seconds : mapping of str to float
        By step.
    first : str
        The step.

    Returns
    -------
    float
        Its seconds and those of all that follow.
    """
    steps: Sequence[str] = STEPS[STEPS.index(first) :]
    return sum(seconds[s] for s in steps)
