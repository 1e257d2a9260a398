"""The files on the pages about plug-ins are installed, pass their conformance suites, and are found by name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .pages import DOCS, blocks

PAGES = [p for p in sorted((DOCS / "how-to" / "plugins").glob("*.md")) if p.stem != "index"]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All plug-ins in one folder, as pip would install them, and what one run of their tests says."""
    folder = tmp_path_factory.mktemp("plugins")
    for page in PAGES:
        for number, block in enumerate(blocks(page)):
            if block.title == "pyproject.toml":
                _install(folder, block.text)
            elif block.title:
                (folder / block.title).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                body = "".join(f"    {line}" for line in block.text.splitlines(keepends=True))
                use = folder / f"test_use_{page.stem}_{number}.py"
                use.write_text(f"def test_use():\n{body}", encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(DOCS.parent)]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return result.stdout + result.stderr


def _install(folder: Path, pyproject: str) -> None:
    """The metadata that ``pip install`` would leave."""
    project = tomllib.loads(pyproject)["project"]
    place = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (place / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_plug_in_passes_its_conformance_suite(page: Path, outcome: str) -> None:
    (file,) = [b.title for b in blocks(page) if b.title.startswith("test_")]
    names = [file, *re.findall(rf"test_use_{page.stem}_\d+\.py", outcome)]
    assert len(names) >= 2, "the page has no example of use, or it was not run"
    for name in set(names):
        passed = re.findall(rf"^PASSED (?:\S*/)?{name}::\S+", outcome, re.MULTILINE)
        failed = re.findall(rf"^(?:FAILED|ERROR) (?:\S*/)?{name}.*", outcome, re.MULTILINE)
        assert passed and not failed, outcome[-6000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_plug_in_is_one_file_and_one_entry_point(page: Path) -> None:
    titles = [b.title for b in blocks(page) if b.title]
    own = [t for t in titles if t.endswith(".py") and not t.startswith("test_")]
    assert len(own) == 1
    (pyproject,) = [b.text for b in blocks(page) if b.title == "pyproject.toml"]
    for group in tomllib.loads(pyproject)["project"]["entry-points"].values():
        (value,) = group.values()
        assert value.partition(":")[0] == own[0].removesuffix(".py")
