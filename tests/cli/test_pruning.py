"""The command that prunes: what it passes on, and what it prints."""

from __future__ import annotations

import json


def test_a_pruned_network_is_told(command) -> None:
    told = {
        "metric": "macs",
        "cost": 990.0,
        "limit": 1000.0,
        "largest": 2000.0,
        "disagreement": 0.0012,
        "gated": 80.5,
        "frozen": 80.25,
        "unit": "%",
    }
    score = {"name": "accuracy", "top1_percent": 81.5, "standard_error": 0.4, "images": 900, "data": "photos"}
    card = {"pruning": told, "score": score, "path": "out/pruned.onnx", "weights": "out/pruned.safetensors"}
    seen = []

    def verb(supernet, data, folder, limit, **options):
        seen.append((supernet, str(data), str(folder), limit, options))
        options["progress"]({"step": 1, "steps": 2, "examples_per_s": 1, "examples": "images", "kernels": "eager", "device": "cpu",
                             "losses": {}, "history": []})  # fmt: skip
        return card

    args = ("prune", "--supernet", "net.py:E", "--data", "d", "--folder", "out", "--limit", "macs<=50 %", "--seed", "3")
    code, out, _ = command(*args, prune=verb)
    text = " ".join(out.split())
    assert code == 0 and "macs 990, within 1000 (99.0 % of it); 2000 before" in text
    assert "disagreement of the gates 0.0012; freezing them: 80.5 → 80.25 %" in text
    assert "accuracy 81.5 % ± 0.4 on photos" in text and "out/pruned.onnx" in text
    supernet, data, folder, limit, options = seen[0]
    assert (supernet, data, folder, limit) == ("net.py:E", "d", "out", "macs<=50 %")
    assert options["seed"] == 3 and options["polarization"] == 8.0 and options["steps"] is None
    _, out, _ = command(*args, "--json", prune=verb)
    assert json.loads(out)["pruning"]["cost"] == 990.0
