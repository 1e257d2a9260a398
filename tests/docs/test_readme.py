"""The README's Python runs, and type-checks in strict mode as a user's file would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .pages import ROOT, blocks

CODE = [b.text for b in blocks(ROOT / "README.md") if b.language == "python"]


def test_the_python_runs(capsys) -> None:
    names: dict[str, object] = {}
    for text in CODE:
        exec(text, names)
    assert "accuracy" in capsys.readouterr().out


def test_the_python_type_checks(tmp_path: Path) -> None:
    assert CODE
    (tmp_path / "readme.py").write_text("\n".join(CODE), encoding="utf-8")
    config, cache = str(ROOT / "pyproject.toml"), str(ROOT / ".mypy_cache")
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", config, "--cache-dir", cache, str(tmp_path / "readme.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_links_and_pictures_exist() -> None:
    for file in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / file).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{file}: {target}"
