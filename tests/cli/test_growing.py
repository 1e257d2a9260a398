"""The command that grows a supernet: what it passes on, and what it prints."""

from __future__ import annotations

import json
from typing import Any


def test_what_was_grown_is_printed(command) -> None:
    seen = []

    def verb(*given: object, **options: Any) -> dict[str, Any]:
        seen.append((*map(str, given), options))
        return {"file": "g.safetensors", "params_before": 1_500_000, "params_after": 6_000_000}

    args = ("grow", "--supernet", "a", "--into", "b.py:WIDE", "--output", "g.safetensors", "--method", "zero")
    code, out, _ = command(*args, grow=verb)
    text = " ".join(out.split())
    assert code == 0 and "1.5 to 6 M parameters, new blocks zero" in text
    assert "train --supernet b.py:WIDE --checkpoint g.safetensors" in text
    options = {"checkpoint": None, "second": None, "method": "zero", "seed": 0, "force": False}
    assert seen == [("a", "b.py:WIDE", "g.safetensors", options)]
    _, out, _ = command(*args, "--json", grow=verb)
    assert json.loads(out)["params_after"] == 6_000_000
