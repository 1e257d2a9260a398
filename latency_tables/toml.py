"""Descriptions are TOML: read with typed errors, written so that they read back equal."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latency_tables.errors import TableError

BARE = re.compile(r"[A-Za-z0-9_-]+")


def read(path: Path) -> dict[str, Any]:
    """The document in a file; `TableError` when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise TableError(f"cannot read {str(path)!r}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TableError(f"{str(path)!r} is not TOML: {error}.") from error


def dumps(document: Mapping[str, Any]) -> str:
    """TOML text of a document; None values are left out, maps at the top and one below it become tables."""
    lines = [f"{_key(k)} = {_value(v)}" for k, v in document.items() if v is not None and not _is_table(v)]
    for key, item in document.items():
        if isinstance(item, Mapping):
            if all(isinstance(v, Mapping) for v in item.values()):
                for name, inner in item.items():
                    lines += ["", f"[{_key(key)}.{_key(name)}]", *_pairs(inner)]
            else:
                lines += ["", f"[{_key(key)}]", *_pairs(item)]
        elif _is_table(item):
            for inner in item:
                lines += ["", f"[[{_key(key)}]]", *_pairs(inner)]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(k)} = {_value(v)}" for k, v in table.items() if v is not None]


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_pairs(value)) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(v) for v in value if v is not None) + "]"
    return repr(value)
