"""Wheels: which kernels they hold, for which platforms they are, and that an installed one computes without a compiler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from hwsearch.supernets.kernels.compiling import LIBRARY, find_compiler
from hwsearch.supernets.kernels.processor import X86_LEVELS, machine
from tests.supernets.kernels.test_compiling import compiler

ROOT = Path(__file__).parents[3]
#: what a wheel of the package alone needs to be built
NEEDED = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "predictors/__init__.py", "latency_tables/__init__.py")
KERNELS = "hwsearch/supernets/kernels"
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1], eval(sys.argv[2])))"

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="compilers are shell scripts here"),
    pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="not a source checkout"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with the kernels and little else, so that wheels are made in a second."""
    folder = tmp_path / "tree"
    names = [*NEEDED, *(f"hwsearch/{n}.py" for n in ("__init__", "_package", "errors"))]
    names += [str(p.relative_to(ROOT)) for p in (ROOT / KERNELS).rglob("*.?p?") if "built" not in p.parts]
    for name in [*names, f"{KERNELS}/processor.py", f"{KERNELS}/compiling.py"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def make(tree: Path, cxx: str, *options: str, choice: str | None = None) -> subprocess.CompletedProcess[str]:
    """Make a wheel in ``wheels`` beside the tree, with a compiler."""
    environment = {k: v for k, v in os.environ.items() if k != "HWSEARCH_WHEEL_KERNELS"}
    environment |= {"CXX": cxx} | ({} if choice is None else {"HWSEARCH_WHEEL_KERNELS": choice})
    (tree.parent / "wheels").mkdir(exist_ok=True)
    words = [str(tree.parent / "wheels"), repr({"--build-option": list(options)})]
    return subprocess.run(
        [sys.executable, "-c", BUILD, *words], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def only_wheel(tree: Path) -> Path:
    (path,) = (tree.parent / "wheels").glob("*.whl")
    return path


def kernels_in(wheel: Path) -> tuple[set[str], dict[str, object]]:
    """Instruction sets with a library, and what the wheel says of them."""
    with ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist() if "/built/" in name]
        said = json.loads(archive.read(f"{KERNELS}/built/wheel.json"))
    return {name.parent.name for name in names if name.name == LIBRARY}, said


def test_a_wheel_with_a_compiler_is_for_its_platform_and_any_python_3(tree: Path) -> None:
    levels = {"x86_64": set(X86_LEVELS), "aarch64": {"neon"}}.get(machine())
    if levels is None:
        pytest.skip(f"no kernels are written for {machine()}")
    done = make(tree, str(compiler(tree.parent)))
    wheel = only_wheel(tree)
    assert kernels_in(wheel) == (levels, {"kernels": list(json.loads(json.dumps(sorted(levels))))}), done.stderr
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name.endswith(f"-py3-none-{platform}.whl") or sys.platform == "darwin"
    with ZipFile(wheel) as archive:
        said = next(archive.read(n).decode() for n in archive.namelist() if n.endswith(".dist-info/WHEEL"))
        assert not [n for n in archive.namelist() if ".data/" in n]
    assert "Root-Is-Purelib: false" in said and "Tag: py3-none-" in said


@pytest.mark.parametrize(
    ("cxx", "choice", "reason"),
    [
        ("no-such-compiler", None, "the compiler CXX='no-such-compiler' is not there."),
        pytest.param("cross", None, "builds for riscv64", marks=pytest.mark.slow),
        pytest.param("broken", None, "failed: library.cpp:1: error: no such thing", marks=pytest.mark.slow),
        pytest.param("whole", "none", "HWSEARCH_WHEEL_KERNELS=none", marks=pytest.mark.slow),
    ],
)
def test_a_wheel_without_kernels_is_for_all_platforms_and_says_why(
    tree: Path, cxx: str, choice: str | None, reason: str
) -> None:
    body = 'echo "library.cpp:1: error: no such thing" >&2; exit 1' if cxx == "broken" else 'echo x > "$output"'
    path = compiler(tree.parent, target="riscv64" if cxx == "cross" else "", body=body)
    stale = tree / "build" / "lib" / KERNELS / "built" / "x86-64-v4" / LIBRARY
    stale.parent.mkdir(parents=True)
    stale.write_text("of an earlier wheel")
    done = make(tree, cxx if cxx == "no-such-compiler" else str(path), choice=choice)
    levels, said = kernels_in(only_wheel(tree))
    assert not levels and reason in str(said["reason"])
    assert (
        only_wheel(tree).name.endswith("-py3-none-any.whl") and "no compiled kernels are in this wheel" in done.stderr
    )


def test_kernels_can_be_required(tree: Path) -> None:
    done = make(tree, "no-such-compiler", choice="required")
    assert done.returncode and "cannot be compiled for" in done.stderr and "no-such-compiler" in done.stderr
    done = make(tree, "no-such-compiler", choice="perhaps")
    assert done.returncode and "HWSEARCH_WHEEL_KERNELS='perhaps' is not valid" in done.stderr
    assert not list((tree.parent / "wheels").glob("*.whl"))


def test_a_wheel_for_another_platform_needs_a_compiler_for_it(tree: Path) -> None:
    other = "aarch64" if machine() == "x86_64" else "x86_64"
    done = make(tree, str(compiler(tree.parent)), f"--plat-name=manylinux_2_34_{other}")
    assert done.returncode and f"builds for {machine()}, {other} is asked for" in done.stderr
    done = make(tree, str(compiler(tree.parent, target=other)), f"--plat-name=manylinux_2_34_{other}")
    wheel = only_wheel(tree)
    assert wheel.name.endswith(f"-py3-none-manylinux_2_34_{other}.whl"), done.stderr
    assert kernels_in(wheel)[0] == ({"neon"} if other == "aarch64" else set(X86_LEVELS))


OPERATOR = """
import json, sys, torch
from hwsearch.supernets.kernels import choose
chosen = choose(sys.argv[1])
x, w = torch.randn(2, 6, 8, 8).to(memory_format=torch.channels_last), torch.randn(6, 1, 5, 5)
found = chosen.kernels.depthwise(x, w, 1)
error = float((found.double() - torch.nn.functional.conv2d(x.double(), w.double(), padding=2, groups=6)).abs().max())
import hwsearch
print(json.dumps({"said": str(chosen), "error": error, "at": hwsearch.__file__}))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_installed_wheel_computes_without_a_compiler(tmp_path: Path) -> None:
    """The whole package, its real compiler, and a fresh environment; then with damaged libraries."""
    if machine() not in ("x86_64", "aarch64"):
        pytest.skip(f"no kernels are written for {machine()}")
    tree, environment = tmp_path / "tree", tmp_path / "venv"
    ignored = shutil.ignore_patterns("__pycache__", "built", "*.egg-info")
    for name in ("hwsearch", "predictors", "latency_tables"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in NEEDED[:4]:
        shutil.copy(ROOT / name, tree / name)
    done = make(tree, " ".join(find_compiler()), choice="required")
    assert done.returncode == 0, done.stderr
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(only_wheel(tree))]
    subprocess.run(install, check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # where torch and the like are; an editable hwsearch is not found through such a line
    theirs = [p for p in sys.path if p.endswith("site-packages") or (Path(p) / "torch").is_dir()]
    (packages / "theirs.pth").write_text("\n".join(theirs) + "\n")

    def computed(name: str = "auto", cxx: str = "no-such-compiler") -> dict[str, object]:
        given = os.environ | {"CXX": cxx, "HWSEARCH_KERNELS": str(tmp_path / "cache")}
        given.pop("PYTHONPATH", None)
        words = [str(python), "-c", OPERATOR, name]
        said = subprocess.run(words, cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        found: dict[str, object] = json.loads(said.stdout)
        assert str(found["at"]).startswith(str(environment)) and float(str(found["error"])) < 1e-5
        return found

    said = str(computed("native")["said"])
    assert said.startswith("native (") and ", of the package" in said and not (tmp_path / "cache").exists()
    built = packages / KERNELS / "built"
    best = said.removeprefix("native (").partition(",")[0]
    library = built / best / LIBRARY
    library.write_bytes(library.read_bytes()[:5000])
    said = str(computed()["said"])
    assert "is damaged" in said and not said.startswith(f"native ({best}")
    for path in built.glob(f"*/{LIBRARY}"):
        path.write_bytes(b"")
    said = str(computed()["said"])
    assert said.startswith("eager (no native ones: the package's library") and "no-such-compiler" in said
    said = str(computed(cxx=" ".join(find_compiler()))["said"])
    assert said.startswith(f"native ({best}, compiled here; the package's library") and (tmp_path / "cache").exists()
