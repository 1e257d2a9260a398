"""Write the generated parts of the pages: configuration keys, options of search tactics, the example of a task.

python docs/generate.py           # writes them
python docs/generate.py --check   # exits with 1 if a page is not what would be written
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hwsearch import searchers
from hwsearch.campaigns.config import CampaignConfig

DOCS = Path(__file__).parent
CONFIGURATION = DOCS / "reference" / "configuration.md"
TACTICS = DOCS / "reference" / "tactics.md"
TASK = DOCS / "how-to" / "plugins" / "task.md"
EXAMPLE = DOCS.parent / "examples" / "plugins" / "tabular"
BEGIN, END = "<!-- generated: options -->", "<!-- end -->"

INTRODUCTION = """# Configuration

A campaign is one TOML file. Every key is listed here with its type, default, unit and range; a key that is left out has its
default, and a key that is not listed is an error that names its line and the nearest right one. `hwsearch init FILE` writes a
file to start from, and the folder of a campaign holds `campaign.toml` with everything resolved.

```toml
[supernet]
name = "cifar10-mbv3"

[[device]]                # one or more
name = "this-cpu"
threads = 2

[[objective]]             # two or more; accuracy and latency by default
metric = "accuracy"

[[objective]]
metric = "latency"
limit = "<= 2 ms"
```

This page is generated from the models that check the file (`python docs/generate.py`).
"""

#: units that a key's name does not end with
UNITS = {
    "data.batch": "examples",
    "device.batch": "examples",
    "device.threads": "threads",
    "objective.probability": "probability",
    "protocol.processes": "processes: fewest, most",
    "protocol.half_width": "share of the value",
    "protocol.confidence": "probability",
    "protocol.group": "subnets",
    "protocol.block_runs": "runs",
    "profile.latency": "subnets",
    "profile.accuracy": "subnets",
    "profile.random": "subnets",
    "search.per_round": "subnets",
    "search.inner_evaluations": "predictions",
    "search.stop_gain": "share of hypervolume",
    "validate.candidates": "subnets",
    "validate.race_error": "probability",
    "validate.race_tolerance": "points of the score",
    "validate.processes": "processes: fewest, most",
    "validate.half_width": "share of the value",
    "validate.membership": "probability",
}
SUFFIXES = {"_s": "s", "_ms": "ms", "_images": "examples"}


def configuration() -> str:
    """Write the text of ``reference/configuration.md``."""
    loose: list[str] = []
    parts: list[str] = []
    for name, field in CampaignConfig.model_fields.items():
        key = field.alias or name
        model, repeated = _model(field.annotation)
        if model is None:
            loose.append(_row("", key, field, meanings(CampaignConfig).get(name, "")))
            continue
        head = f"[[{key}]]" if repeated else f"[{key}]"
        said = meanings(model)
        rows = [_row(key, f.alias or n, f, said.get(n, "")) for n, f in model.model_fields.items()]
        parts.append(f"## `{head}`\n\n{_summary(model)}\n\n{_table(rows)}")
    return "\n".join([INTRODUCTION, "## Top level\n\n" + _table(loose), *parts])


def options_table() -> str:
    """Write the table of tactics, their classes and options."""
    rows = ["| tactic | class | options |", "|---|---|---|"]
    for name in sorted(set(searchers.tactics()) - {"default"}):
        cls = searchers.find(name)
        rows.append(f"| `{name}` | `{cls.__module__}.{cls.__name__}` | {', '.join(_options(cls))} |")
    return "\n".join(rows)


def tactics() -> str:
    """Return the text of ``reference/tactics.md`` with its table renewed."""
    text = TACTICS.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{options_table()}\n{END}{after}"


def task() -> str:
    """Return the text of ``how-to/plugins/task.md`` with the files of the example renewed."""
    text = TASK.read_text(encoding="utf-8")
    for name, language in (("hwsearch_tabular.py", "python"), ("pyproject.toml", "toml")):
        begin = f"<!-- generated: {name} -->"
        before, _, rest = text.partition(begin)
        after = rest.partition(END)[2]
        content = (EXAMPLE / name).read_text(encoding="utf-8")
        text = f'{before}{begin}\n```{language} title="{name}"\n{content}```\n{END}{after}'
    return text


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Look up what each field means: its description, else what the class's docstring says of it."""
    found = dict(_documented(inspect.getdoc(model) or "", set(model.model_fields)))
    found |= {n: f.description for n, f in model.model_fields.items() if f.description}
    return found


def _documented(text: str, names: set[str]) -> Iterator[tuple[str, str]]:
    """Find (name, meaning) of the ``name : …`` entries of a docstring, with or without section heads."""
    lines = text.splitlines()
    section = any(re.fullmatch(r"-{3,}", line.strip()) for line in lines)
    for i, line in enumerate(lines):
        match = re.match(r"^([*\w, ]+?) : (.*)$", line)
        bare = re.fullmatch(r"([\w, ]+)", line) if section else None
        entry = match or bare
        if entry is None:
            continue
        own: set[str] = set()
        for part in (p.strip() for p in entry[1].split(",")):
            own |= {n for n in names if re.fullmatch(part.replace("*", r"\w+"), n)} if part else set()
        if not own:
            continue
        more = []
        for further in lines[i + 1 :]:
            if further.strip() and not further.startswith(" "):
                break
            more.append(further.strip())
        said = " ".join([*([] if section or match is None else [match[2]]), *more]).strip()
        yield from ((n, " ".join(said.split())) for n in own)


def _summary(model: type[BaseModel]) -> str:
    return re.sub(r"``", "`", " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split()))


def _model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Find the model behind a field, and whether it is an array of tables."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    inner = [a for a in get_args(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
    return (inner[0], True) if inner else (None, False)


def _table(rows: list[str]) -> str:
    return "\n".join(["| key | type | default | unit | range | meaning |", "|---|---|---|---|---|---|", *rows]) + "\n"


def _row(table: str, key: str, field: FieldInfo, meaning: str) -> str:
    meaning = re.sub(r"``", "`", meaning).replace("|", "\\|")
    if meaning:
        meaning = meaning[0].upper() + meaning[1:].rstrip(".") + "."
    unit = UNITS.get(f"{table}.{key}") or next((u for s, u in SUFFIXES.items() if key.endswith(s)), "")
    cells = [f"`{key}`", _type(field.annotation), _default(field), unit, _range(field), meaning]
    return f"| {' | '.join(cells)} |"


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_type(a) for a in inner if a is not type(None))
    if origin is Literal:
        return "one of " + ", ".join(f'`"{v}"`' for v in inner)
    if origin in (list, tuple):
        same = origin is list or Ellipsis in inner
        return f"list of {_type(inner[0])}" if same else f"{len(inner)} numbers"
    if origin is dict:
        return "table"
    return {str: "text", int: "integer", float: "number", bool: "true or false"}.get(annotation, str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default if field.default is not PydanticUndefined else field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (list, tuple)):
        return "`[" + ", ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _range(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{s} {v:g}" for m in field.metadata for k, s in signs.items() if (v := getattr(m, k, None)) is not None]
    return ", ".join(bounds)


def _options(cls: type[searchers.Searcher]) -> list[str]:
    """List ``name=default`` of each option of a tactic: of its options model, or else of its signature."""
    model = getattr(cls, "Options", None)
    if isinstance(model, type) and issubclass(model, BaseModel):
        own = [(n, f.get_default(call_default_factory=True)) for n, f in model.model_fields.items()]
    else:
        parameters = inspect.signature(cls).parameters.values()
        own = [(p.name, p.default) for p in parameters if p.name not in ("space", "objectives", "seed")]
    return [f'`{n}="{v}"`' if isinstance(v, str) else f"`{n}={v}`" for n, v in own]


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    stale = [p for p, text in pages().items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    if "--check" not in arguments:
        for path, text in pages().items():
            path.write_text(text, encoding="utf-8")
        return 0
    for path in stale:
        sys.stderr.write(f"{path.name} is stale: run 'python docs/generate.py'.\n")
    return 1 if stale else 0


def pages() -> dict[Path, str]:
    """Return every generated page with its text."""
    return {CONFIGURATION: configuration(), TACTICS: tactics(), TASK: task()}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
