"""The commands that add and export tasks: what they pass on, and what they print."""

from __future__ import annotations

import json


def test_an_added_task_is_told(command) -> None:
    score = {"name": "top-1", "top1_percent": 91.5, "standard_error": 0.4, "images": 900, "data": "photos"}
    row = {"name": "birds", "classes": ["a", "b"], "score": score, "density": 0.05, "trained": 0.8, "free": 0.9,
           "transfer": {"from": "cats"}, "tasks": ["cats", "birds"]}  # fmt: skip
    seen = []

    def verb(supernet, data, folder, task, **options):
        seen.append((supernet, str(data), str(folder), task, options))
        return row

    args = ("add-task", "--supernet", "net.py:E", "--data", "d", "--folder", "many", "--task", "birds", "--no-transfer")
    code, out, _ = command(*args, "--density", "0.05", add_task=verb)
    text = " ".join(out.split())
    assert code == 0 and "task birds: top-1 91.5 ± 0.4 on photos, 2 classes" in text
    assert "5.0 % of the weights, 80.0 % of these trained; 90.0 % of the backbone's are in no task" in text
    assert "started from the mask of task cats" in text and "tasks: cats, birds; networks of earlier ones" in text
    supernet, data, folder, task, options = seen[0]
    assert (supernet, data, folder, task) == ("net.py:E", "d", "many", "birds")
    assert options["density"] == 0.05 and options["transfer"] is False and options["weight_share"] == 0.5
    _, out, _ = command(*args, "--json", add_task=verb)
    assert json.loads(out)["free"] == 0.9


def test_an_exported_task_is_told(command) -> None:
    verb = lambda supernet, folder, task, **options: {"path": "birds.onnx", "difference_from_torch": 3e-7}  # noqa: E731
    code, out, _ = command("export-task", "--supernet", "n", "--folder", "many", "--task", "birds", export_task=verb)
    assert code == 0 and "→ birds.onnx, 3.0e-07 from torch" in " ".join(out.split())
