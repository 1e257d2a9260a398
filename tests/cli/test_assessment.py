"""The command that assesses a supernet: what it passes on, and what it prints."""

from __future__ import annotations

import json


def estimate(value: float) -> dict:
    return {"value": value, "low": value - 0.5, "high": value + 0.5, "n": 4}


FOUND = {
    "score": {"name": "top-1", "unit": "%"},
    "difference_unit": "pt",
    "bands": [
        {"band": 0, "macs_low": 1e6, "macs_high": 2e6, "subnets": 2, "score": estimate(70.0), "worst": 69.0, "best": 71.0,
         "excess_loss": estimate(0.02)}
    ],
    "subnets": [],
    "conflict": {"smallest_largest": estimate(0.4)},
    "gap": None,
    "rank_correlation": None,
    "advice": {"sentence": "Try [few-shot] next."},
    "files": {"assessment.html": "worth/assessment.html"},
}  # fmt: skip


def test_options_are_passed_on_and_the_advice_is_said(command) -> None:
    seen = []

    def verb(supernet, folder, **options):
        seen.append((supernet, str(folder), options))
        return FOUND | ({"gap": estimate(1.5), "rank_correlation": estimate(0.4)} if options["standalone"] else {})

    args = ("assess-supernet", "--supernet", "net.py:ENTRY", "--folder", "worth")
    code, out, _ = command(*args, assess_supernet=verb)
    text = " ".join(out.split())
    assert code == 0 and "1.00 M to 2.00 M MACs: top-1 70.0 % (69.5 to 70.5), 69.0 to 71.0" in text
    assert "cosine: 0.40 (−0.10 to 0.90) Try [few-shot] next. → worth/assessment.html" in text and "gap" not in text
    (supernet, folder, options), *_ = seen
    assert (supernet, folder) == ("net.py:ENTRY", "worth") and options["progress"] is not None
    assert options["data"] is options["checkpoint"] is options["lr"] is None and not options["force"]
    more = (
        "--data",
        "images",
        "--checkpoint",
        "w.pt",
        "--subnets",
        "12",
        "--bands",
        "3",
        "--examples",
        "99",
        "--batches",
        "4",
    )
    code, out, _ = command(
        *args, *more, "--standalone", "6", "--passes", "70", "--lr", "0.1", "--seed", "5", assess_supernet=verb
    )
    options = seen[1][2]
    assert code == 0 and "gap to stand-alone training: 1.5 pt (1.0 to 2.0)" in " ".join(out.split())
    numbers = [options[k] for k in ("subnets", "bands", "examples", "batches", "standalone", "passes", "lr", "seed")]
    assert numbers == [12, 3, 99, 4, 6, 70, 0.1, 5] and str(options["data"]) == "images"
    code, out, _ = command(*args, "--json", assess_supernet=verb)
    assert json.loads(out)["advice"] == FOUND["advice"]
    assert command(*args, "--bands", "1", assess_supernet=verb)[0] == 2
    assert command("assess-supernet", "--folder", "x", assess_supernet=verb)[0] == 2
