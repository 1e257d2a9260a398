"""Limits that no subnet seems to meet together, told before the search."""

from __future__ import annotations

from hwsearch.campaigns.feasibility import infeasibility_warning
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.steps.evaluate import evaluate
from hwsearch.campaigns.steps.fit import fit
from hwsearch.campaigns.steps.profile import profile
from hwsearch.campaigns.views import device_view

ACCURACY, LATENCY = {"metric": "accuracy"}, {"metric": "latency"}


def test_limits_that_no_subnet_seems_to_meet_together_are_told_before_the_search(boards) -> None:
    limits_of = lambda accuracy, latency: [  # noqa: E731
        ACCURACY | {"limit": f">= {accuracy}"},
        LATENCY | {"device": "one", "limit": f"<= {latency} ms"},
        LATENCY | {"device": "two"},
    ]
    campaign = boards(noise=0.005, search={"rounds": 0})
    profile(campaign), evaluate(campaign), fit(campaign)
    truth = campaign.target("one").executor.truth
    ends = [truth(a) for a in (campaign.space.smallest(), campaign.space.largest())]
    for accuracy, latency, told in ((60, 1.01 * ends[1], False), (87, 1.1 * ends[0], True)):
        again = boards(campaign.folder.name, noise=0.005, objective=limits_of(accuracy, latency))
        view = device_view(again, again.target("one"))
        said = infeasibility_warning(again, view, view.measured(Known.read(again)))
        assert (said is not None) == told
        assert not told or ("accuracy >= 87 and latency_ms <= " in said and "together" in said)
