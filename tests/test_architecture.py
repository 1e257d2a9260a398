"""What the layout promises beyond the contracts of import-linter (``make lint``): sizes, rooms, and no unsafe loading."""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def sources() -> list[Path]:
    return sorted(p for top in ("hwsearch", "predictors", "latency_tables") for p in (ROOT / top).rglob("*.py"))


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_files_tell_one_story() -> None:
    sizes = {str(p.relative_to(ROOT)): lines_of(p) for p in sources()}
    assert not {k: n for k, n in sizes.items() if n > 500}
    assert statistics.median(sizes.values()) <= 150


def test_rooms_and_loose_modules_are_few() -> None:
    top = ROOT / "hwsearch"
    rooms = [p.name for p in top.iterdir() if (p / "__init__.py").exists()]
    loose = [p.name for p in top.glob("*.py") if not p.name.startswith("__")]
    assert len(rooms) <= 15, rooms
    assert len(loose) <= 6, loose


def test_only_campaigns_and_above_take_a_campaign() -> None:
    """What stands below gets values, not the whole campaign."""
    above = {"campaigns", "api", "cli"}
    for path in sources():
        words = path.relative_to(ROOT).parts
        if words[0] == "hwsearch" and words[1] not in above:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.arg) and node.annotation is not None:
                    names = {n.id for n in ast.walk(node.annotation) if isinstance(n, ast.Name)}
                    assert "Campaign" not in names, f"{path}:{node.lineno}"


def room_of(path: Path) -> str:
    """The package below ``hwsearch/``, or the top-level package; modules beside the packages are one room."""
    words = path.relative_to(ROOT).parts
    return words[0] if words[0] != "hwsearch" else words[1] if len(words) > 2 else "hwsearch"


def test_annotations_say_more_than_any() -> None:
    """At most 10 uses of `Any` in 1,000 lines of a room; 40 in exporters, where ONNX's own types say nothing."""
    uses: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        uses[room_of(path)] += sum(isinstance(n, ast.Name) and n.id == "Any" for n in ast.walk(tree))
        lines[room_of(path)] += lines_of(path)
    per_1000 = {room: 1000 * uses[room] / n for room, n in lines.items()}
    assert not {room: x for room, x in per_1000.items() if x > (40 if room == "exporters" else 10)}


def mirrored(path: Path) -> Path:
    """The test file of a source file: the same folders below ``tests/``."""
    words = path.relative_to(ROOT).with_suffix("").parts
    *folders, name = words[1:] if words[0] == "hwsearch" else words
    return ROOT.joinpath("tests", *folders, f"test_{name}.py")


def test_every_long_file_has_tests_of_its_own() -> None:
    """A source file of more than 150 lines is tested by the file of its name, so that one finds what fails by it."""
    long = [p for p in sources() if lines_of(p) > 150]
    assert not [str(p.relative_to(ROOT)) for p in long if not mirrored(p).is_file()]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_unsafe_loading(path: Path) -> None:
    """No pickle, no unsafe torch.load, no shell strings, no eval; no relative imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert name not in ("eval", "exec", "pickle.load", "pickle.loads", "os.system"), f"{path}:{node.lineno}"
            assert keywords.get("shell") != "True", f"{path}:{node.lineno}"
            assert keywords.get("allow_pickle", "False") == "False", f"{path}:{node.lineno}"
            if name == "torch.load":
                assert keywords.get("weights_only") == "True", f"{path}:{node.lineno}"
