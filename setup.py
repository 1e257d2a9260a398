"""Wheels with the compiled kernels of training; all else is in pyproject.toml.

Where a C++ compiler is found, ``pip wheel .`` makes a wheel for its platform that holds a library for each instruction set;
without one a wheel for all platforms, which says why. The environment variable ``HWSEARCH_WHEEL_KERNELS`` decides otherwise:
``none`` asks for a wheel for all platforms, ``required`` (and ``--plat-name``) for an error in its place.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.errors import OptionError, SetupError

ROOT = Path(__file__).parent.resolve()
KERNELS = "hwsearch/supernets/kernels"
CHOICE = "HWSEARCH_WHEEL_KERNELS"
CHOICES = ("auto", "none", "required")


def module(name: str) -> ModuleType:
    """Load a module without the packages around it, which need torch."""
    sys.path.insert(0, str(ROOT))
    try:
        full = f"{KERNELS.replace('/', '.')}.{name}"
        spec = importlib.util.spec_from_file_location(full, ROOT / KERNELS / f"{name}.py")
        assert spec is not None and spec.loader is not None
        found = sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        return found
    finally:
        sys.path.remove(str(ROOT))


class KernelsWheel(bdist_wheel):
    """Compile the libraries into the wheel; no code of it depends on Python's version or binary interface."""

    def run(self) -> None:
        """Make the wheel."""
        choice = os.environ.get(CHOICE, "auto")
        if choice not in CHOICES:
            raise OptionError(f"{CHOICE}={choice!r} is not valid: choose one of {', '.join(CHOICES)}.")
        if not self.skip_build:
            self.run_command("build")
        place = Path(self.get_finalized_command("build").build_lib) / KERNELS / "built"
        shutil.rmtree(place, ignore_errors=True)  # of an earlier wheel, perhaps of another machine
        required = choice == "required" or self.plat_name_supplied
        said = {"reason": f"{CHOICE}=none"} if choice == "none" else self.compiled(place, required)
        place.mkdir(parents=True, exist_ok=True)
        (place / "wheel.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        self.root_is_pure = pure = "kernels" not in said
        self.distribution.has_ext_modules = lambda: not pure  # type: ignore[method-assign]  # where files are put
        if pure:
            self.warn(f"no compiled kernels are in this wheel: {said['reason']}")
        else:
            self.announce(f"compiled kernels are in this wheel for {', '.join(said['kernels'])}", level=logging.INFO)
        super().run()

    def compiled(self, place: Path, required: bool) -> dict[str, Any]:
        """Compile all libraries, or say why that cannot be done."""
        processor, compiling = module("processor"), module("compiling")
        kind = next((k for k in ("x86_64", "aarch64") if self.platform().endswith(k)), self.platform())
        levels = {"x86_64": list(processor.X86_LEVELS), "aarch64": ["neon"]}.get(kind, [])
        try:
            if not levels:
                raise compiling.SupernetError(f"no kernels are written for {kind} processors.")
            compiling.build_packaged(levels, place, kind)
        except compiling.SupernetError as error:
            shutil.rmtree(place, ignore_errors=True)
            if required:
                raise SetupError(f"the kernels cannot be compiled for {self.platform()}: {error}") from error
            return {"reason": str(error)}
        return {"kernels": levels}

    def platform(self) -> str:
        """Name the platform, with the names of processors that the kernels use."""
        name = str(self.plat_name).lower().replace("-", "_")
        for theirs, ours in (("amd64", "x86_64"), ("arm64", "aarch64")):
            name = name.replace(theirs, ours)
        return name

    def get_tag(self) -> tuple[str, str, str]:
        """Name what the wheel fits: any Python 3, on this platform."""
        tag = super().get_tag()
        return tag if self.root_is_pure else (self.python_tag, "none", tag[2])


setup(cmdclass={"bdist_wheel": KernelsWheel})
