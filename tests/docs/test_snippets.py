"""Every block of every page is what it claims: commands parse, configurations load, code compiles and runs somewhere."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.loading import parse_config
from hwsearch.cli.main import app
from hwsearch.training.planning import parse_cluster
from hwsearch.training.recipes import load_recipe

from .pages import DOCS, ROOT, Block, blocks, commands, pages

ALL = [(page, block) for page in pages() for block in blocks(page)]
#: languages that are checked here or run elsewhere; anything else is a mistake of the author's
LANGUAGES = {"python", "toml", "bash", "console", "json", "text"}
#: pages whose Python is run by another test of this folder
RUN = {"tutorials", "plugins", "concepts", "gallery"}
RUN_FILES = {"tactics.md", "tables.md", "predictor.md", "certified.md", "README.md"}
#: keys that tell what a TOML block is, where it is no part of a campaign's configuration
PLUGIN, RECIPE, TABLE = "project", "stage", "genes"


def _id(case: tuple[Path, Block]) -> str:
    return f"{case[0].name}:{case[1].line}"


def _of(*languages: str) -> list[tuple[Path, Block]]:
    return [case for case in ALL if case[1].language in languages]


def test_there_are_pages_with_blocks_of_known_languages() -> None:
    assert len(ALL) > 60
    for page, block in ALL:
        assert block.language in LANGUAGES, f"{page.name}, line {block.line}: {block.language!r}"


@pytest.mark.parametrize("case", _of("bash", "console"), ids=_id)
def test_commands_are_those_of_the_command_line(case: tuple[Path, Block]) -> None:
    group = typer.main.get_command(app)
    found = commands(case[1])
    assert found
    for command in found:
        program, *arguments = shlex.split(command)
        if program == "torchrun" and "-m" in arguments:  # it starts a module
            program, *arguments = arguments[arguments.index("-m") + 1 :]
        if program == "hwsearch":
            context = group.make_context("hwsearch", list(arguments), resilient_parsing=False)
            rest = [*context._protected_args, *context.args] if hasattr(context, "_protected_args") else context.args
            if rest:  # an option such as --version stands alone
                name, sub, left = group.resolve_command(context, rest)
                sub.make_context(name, list(left), parent=context)
        elif program == "make":
            targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            for target in arguments:
                assert target in targets or target.startswith("bench-")
        elif program == "python":
            _check_python_command(arguments)
        else:
            assert program in {"pip", "adb", "optuna-dashboard", "git", "cd"}, command


def _check_python_command(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        module = arguments[1]
        local = ROOT.joinpath(*module.split("."))
        assert module == "pytest" or local.with_suffix(".py").exists() or local.is_dir(), module
    else:
        assert (ROOT / arguments[0]).exists(), arguments[0]


@pytest.mark.parametrize("case", _of("toml"), ids=_id)
def test_configurations_load(case: tuple[Path, Block], tmp_path: Path) -> None:
    page, block = case
    data = tomllib.loads(block.text)
    if PLUGIN in data:
        assert all(group.startswith("hwsearch.") for group in data[PLUGIN]["entry-points"])
    elif RECIPE in data:
        (tmp_path / "recipe.toml").write_text(block.text, encoding="utf-8")
        load_recipe(tmp_path / "recipe.toml")
    elif TABLE in data:
        assert {"space", "unit", "devices"} <= set(data)
    elif "topology" in data:
        parse_cluster(data, page.name)
    else:
        parse_config(_whole(data), page.name)


def _whole(fragment: dict[str, Any]) -> dict[str, Any]:
    """A configuration with this fragment in it: devices and metrics that it leaves out are filled in."""
    data = json.loads(json.dumps(fragment))
    named = {o["device"] for o in data.get("objective", []) if "device" in o} | set(
        data.get("fleet", {}).get("remote", [])
    )
    named |= {k.partition("@")[2] for k in data.get("search", {}).get("reference", {}) if "@" in k}
    data.setdefault("device", [{"name": name} for name in sorted(named)] or [{"name": "here"}])
    objectives = data.setdefault("objective", [])
    have = {o["metric"].removesuffix("_ms") for o in objectives}
    objectives += [{"metric": m} for m in ("accuracy", "latency") if m not in have]
    data["objective"] = [o for o in objectives if o["metric"] != "activations_mib"]  # of a plug-in
    if data.get("device") and not any("name" in d for d in data["device"]):
        data["device"] = [{"name": "here", **d} for d in data["device"]]
    return data


@pytest.mark.parametrize("case", _of("json"), ids=_id)
def test_json_is_json(case: tuple[Path, Block]) -> None:
    json.loads(case[1].text)


@pytest.mark.parametrize("case", _of("python"), ids=_id)
def test_python_compiles_and_is_run_by_a_test(case: tuple[Path, Block]) -> None:
    page, block = case
    ast.parse(block.text)
    assert page.parent.name in RUN or page.name in RUN_FILES, f"nothing runs the Python of {page.name}"


def test_keys_in_prose_exist() -> None:
    """`[table] key` in a page's text is a key of the configuration."""
    tables: dict[str, type[BaseModel]] = {}
    for name, field in CampaignConfig.model_fields.items():
        inner = getattr(field.annotation, "__args__", (field.annotation,))[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            tables[field.alias or name] = inner
    for page in pages():
        for table, key in re.findall(r"`\[+(\w+)\]+ (\w+)", page.read_text(encoding="utf-8")):
            assert table in tables and key in tables[table].model_fields, f"{page.name}: [{table}] {key}"


def test_links_to_source_files_exist() -> None:
    for page in [*pages(), ROOT / "CHANGELOG.md"]:
        for path in re.findall(r"`((?:examples|benchmarks|hwsearch|docs)/[\w/.-]+\.\w+)`", page.read_text("utf-8")):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        assert str(page.relative_to(DOCS)) in nav, page
