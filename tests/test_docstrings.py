"""Docstrings in the form that tools and readers of the field know: NumPy sections on everything public."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOPS = ("hwsearch", "predictors", "latency_tables")
#: decorators whose functions take over a documented docstring
INHERITED = {"overload", "override", "typing.override", "typing_extensions.override"}
#: bases whose annotated fields are parameters
RECORDS = ("BaseModel", "Settings", "Options", "TypedDict", "NamedTuple")

Public = ast.FunctionDef | ast.ClassDef


def public(path: Path) -> Iterator[Public]:
    """Public functions, classes and methods of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in (
        *tree.body,
        *(m for c in tree.body if isinstance(c, ast.ClassDef) and not c.name.startswith("_") for m in c.body),
    ):
        named = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
        if named and not {ast.unparse(d).split("(")[0] for d in node.decorator_list} & INHERITED:
            yield node


def parameters(node: ast.FunctionDef) -> list[str]:
    a = node.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *([a.vararg] if a.vararg else []), *([a.kwarg] if a.kwarg else [])]
    return [x.arg for x in every if x.arg not in ("self", "cls") and not x.arg.startswith("_")]


def section(text: str, *names: str) -> bool:
    return any(re.search(rf"^{name}\n-{{3,}}$", text, re.MULTILINE) for name in names)


def fault(node: Public) -> str | None:
    """What a docstring lacks; None where nothing."""
    text = ast.get_docstring(node) or ""
    if not text:
        return "has no docstring"
    if isinstance(node, ast.ClassDef):
        init = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
        record = any("dataclass" in ast.unparse(d) for d in node.decorator_list) or any(
            ast.unparse(b).split(".")[-1] in RECORDS for b in node.bases
        )
        fields = [
            m.target.id
            for m in node.body
            if isinstance(m, ast.AnnAssign)
            and isinstance(m.target, ast.Name)
            and "ClassVar" not in ast.unparse(m.annotation)
        ]
        needed = parameters(init) if init else [f for f in fields if record and not f.startswith("_")]
        return "lacks Parameters or Attributes" if needed and not section(text, "Parameters", "Attributes") else None
    if parameters(node) and not section(text, "Parameters", "Other Parameters"):
        return "lacks Parameters"
    attribute = any(ast.unparse(d).endswith(("property", ".setter")) for d in node.decorator_list)
    gives = node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn", "Never")
    return "lacks Returns" if gives and not attribute and not section(text, "Returns", "Yields") else None


FILES = sorted(p for top in TOPS for p in (ROOT / top).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_names_are_documented_in_numpy_form(path: Path) -> None:
    faults = [f"{node.name} (line {node.lineno}) {said}" for node in public(path) if (said := fault(node))]
    assert not faults, "\n".join(faults)


def test_docstrings_say_enough() -> None:
    words = [len((ast.get_docstring(node) or "").split()) for path in FILES for node in public(path)]
    assert statistics.median(words) >= 30


def test_the_judge_sees_what_is_missing() -> None:
    def judged(code: str) -> str | None:
        node = ast.parse(code).body[0]
        assert isinstance(node, (ast.FunctionDef, ast.ClassDef))
        return fault(node)

    assert judged("def f(): ...") == "has no docstring"
    assert judged('def f(x):\n    """Do."""') == "lacks Parameters"
    assert judged('def f() -> int:\n    """Do."""') == "lacks Returns"
    assert judged('@dataclass\nclass A:\n    """One."""\n    x: int') == "lacks Parameters or Attributes"
    full = '"""Do.\n\n    Parameters\n    ----------\n    x : int\n        It.\n\n    Returns\n    -------\n    int\n        It.\n    """'
    assert judged(f"def f(x) -> int:\n    {full}") is None
