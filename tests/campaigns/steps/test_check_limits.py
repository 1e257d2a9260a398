"""Limits that no subnet can meet, told by the ends of the space."""

from __future__ import annotations

import pytest

from hwsearch.campaigns.steps.check_limits import reject_unreachable
from hwsearch.errors import LimitError
from hwsearch.objectives.limit import parse_limit
from hwsearch.objectives.objective import Objective

ENDS = {"accuracy": (70.0, 84.0), "latency_ms": (1.0, 4.0), "macs": (1e6, 9e6)}


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("accuracy>=80", "latency_ms<=2", None),  # what lies between the ends is for the search to find
        ("accuracy>=85", "latency_ms<=2", None),  # another subnet may be a little better than the largest
        ("accuracy>=87", "latency_ms<=2", r"the largest subnet has 84\. Try \"accuracy>="),
        ("accuracy>=80", "latency_ms<=0.97", None),
        ("accuracy>=80", "latency_ms<=0.9", "the smallest subnet has 1"),
        (
            "accuracy>=85",
            "latency_ms<=0.97",
            r"accuracy >= 85.* exclude each other|latency_ms <= 0.97.*exclude each other",
        ),
        ("accuracy>=80", "latency_ms<=20 %", r"<= 20 % of the largest's 4 on 'one'.*Try \"latency_ms<=26 %\""),
        ("accuracy>=80", "latency_ms<=30 %", None),
        ("accuracy>=80", "macs<=0.999M", "the smallest subnet has 1e"),  # computed: no slack
        ("accuracy>=80", "macs<=1M", None),
        ("accuracy>=80", "macs>=120 %", r"the largest subnet has 9e\+06. Try \"macs>=98 %\""),
        ("accuracy>=80", "macs>=2M", None),
    ],
)
def test_limits_out_of_reach_are_told_by_the_ends(first, second, says) -> None:
    objectives = []
    for text in (first, second):
        name, limit = parse_limit(text)
        objectives.append(Objective(name, device="one" if name == "latency_ms" else None, limit=limit))
    ends = lambda o: dict(zip(("smallest", "largest"), ENDS[o.metric], strict=True))  # noqa: E731
    if says is None:
        reject_unreachable(objectives, ends, "space", "one")
    else:
        with pytest.raises(LimitError, match=says):
            reject_unreachable(objectives, ends, "space", "one")


@pytest.mark.parametrize(
    ("limit", "reachable"),
    [("latency_ms<=0.95", True), ("latency_ms<=0.9499", False), ("accuracy>=86", True), ("accuracy>=86.01", False)],
)
def test_slack_widens_what_can_be_reached_on_the_limits_side(limit, reachable) -> None:
    """A subnet may take 5 % less than the smallest's 1 ms, and have two points more than the largest's 84."""
    name, parsed = parse_limit(limit)
    objective = Objective(name, device="one" if name == "latency_ms" else None, limit=parsed)
    ends = lambda o: dict(zip(("smallest", "largest"), ENDS[o.metric], strict=True))  # noqa: E731
    if reachable:
        reject_unreachable([objective], ends, "space", "one")
    else:
        with pytest.raises(LimitError, match="no subnet of 'space' meets"):
            reject_unreachable([objective], ends, "space", "one")


def test_a_share_of_a_largest_subnet_that_fails_is_no_limit() -> None:
    objective = Objective("latency_ms", device="one", limit=parse_limit("latency_ms<=60 %")[1])
    with pytest.raises(LimitError, match="share of the largest subnet's, which could not be measured"):
        reject_unreachable([objective], lambda o: {"smallest": 1.0}, "space", "one")
