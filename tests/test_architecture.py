"""The layers: an import may only point to what lies below."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: what each part may import of ours, besides itself and what everyone may
ALLOWED = {
    "predictors": set(),
    "latency_tables": set(),
    "hwsearch.errors": set(),
    "hwsearch._verbs": set(),
    "hwsearch.registry": set(),
    "hwsearch.objective": set(),
    "hwsearch.config": {"hwsearch.objective"},
    "hwsearch.inputs": set(),
    "hwsearch.images": {"hwsearch.inputs"},
    "hwsearch.text": {"hwsearch.inputs"},
    "hwsearch.translation": {"hwsearch.inputs"},
    "hwsearch.spaces": set(),
    "hwsearch.supernets": {
        "hwsearch.spaces",
        "hwsearch.inputs",
        "hwsearch.images",
        "hwsearch.text",
        "hwsearch.translation",
    },
    "hwsearch.objectives.computed": {"hwsearch.spaces", "hwsearch.supernets"},
    "hwsearch.accuracy": {
        "hwsearch.spaces",
        "hwsearch.supernets",
        "hwsearch.inputs",
        "hwsearch.images",
        "hwsearch.text",
        "hwsearch.translation",
    },
    "hwsearch.exporters": {"hwsearch.spaces", "hwsearch.supernets", "hwsearch.inputs"},
    "hwsearch.devices": {"hwsearch.exporters", "hwsearch.inputs", "latency_tables", "predictors"},
    "hwsearch.store": {"hwsearch.spaces"},
    "hwsearch.front": {"hwsearch.objective"},
    "hwsearch.searchers": {"hwsearch.spaces", "hwsearch.objective", "hwsearch.front", "predictors"},
    "hwsearch.training": {
        "hwsearch.spaces",
        "hwsearch.supernets",
        "hwsearch.inputs",
        "hwsearch.images",
        "hwsearch.translation",
        "hwsearch.accuracy",
    },
    "hwsearch.reporting": {"hwsearch.objective", "hwsearch.front", "hwsearch.store"},
}
EVERYONE = {"hwsearch.errors", "hwsearch._verbs", "hwsearch.registry"}
#: what joins the parts, and so may import any of them
TOP = {
    "hwsearch",
    "hwsearch.campaigns",
    "hwsearch.api",
    "hwsearch.__main__",
    "hwsearch.cli",
    "hwsearch.cli.progress",
    "hwsearch.inspect",
    "hwsearch.recipes",
    "hwsearch.api.tables",
    "hwsearch.testing",
}


def part(module: str) -> str:
    words = module.split(".")
    return ".".join(words[:2]) if words[0] == "hwsearch" else words[0]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            if node.module == "hwsearch":
                found |= {f"hwsearch.{a.name}" for a in node.names}
            else:
                found.add(node.module)
    return {part(m) for m in found if m.split(".")[0] in ("hwsearch", "predictors", "latency_tables")}


def sources() -> list[Path]:
    return sorted(p for top in ("hwsearch", "predictors", "latency_tables") for p in (ROOT / top).rglob("*.py"))


def module_of(path: Path) -> str:
    words = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    own = part(module_of(path))
    if own in TOP:
        return
    assert own in ALLOWED, f"{own} has no place in the layers"
    wrong = imports(path) - ALLOWED[own] - EVERYONE - {own, "hwsearch"}
    assert not wrong, f"{own} may not import {sorted(wrong)}"


def test_the_layers_have_no_cycle():
    done: set[str] = set()
    left = dict(ALLOWED)
    while left:
        ready = [k for k, needs in left.items() if needs <= done]
        assert ready, f"a cycle among {sorted(left)}"
        done.update(ready)
        for k in ready:
            del left[k]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_unsafe_loading(path):
    """No pickle, no unsafe torch.load, no shell strings, no eval."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert name not in ("eval", "exec", "pickle.load", "pickle.loads", "os.system"), f"{path}:{node.lineno}"
            assert keywords.get("shell") != "True", f"{path}:{node.lineno}"
            assert keywords.get("allow_pickle", "False") == "False", f"{path}:{node.lineno}"
            if name == "torch.load":
                assert keywords.get("weights_only") == "True", f"{path}:{node.lineno}"
