"""The published schemas and examples, as outsiders read them: from their files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

CONTRACTS = Path(__file__).parents[2] / "shared/core/contracts"


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    """Return a pattern for Python.

    JSON Schema's patterns are ECMA-262's, where `$` is the end; in Python it also matches before a last line feed.
    """
    ecma = re.sub(r"\$(?=\||$)", r"\\Z", pattern)
    if isinstance(instance, str) and not re.search(ecma, instance):
        yield ValidationError("pattern")


EcmaValidator = extend(Draft202012Validator, {"pattern": _pattern})


@cache
def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CONTRACTS / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@cache
def _validator(name: str) -> Any:
    return EcmaValidator(schema(name), format_checker=FormatChecker())


def schema_accepts(name: str, value: Any) -> bool:
    return bool(_validator(name).is_valid(value))


def example_files(kind: str) -> list[tuple[str, Path]]:
    """Yield (schema name, path) of every `accepted` or `refused` example."""
    paths = sorted((CONTRACTS / "examples").glob(f"*/{kind}-*.json"))
    return [(path.parent.name, path) for path in paths]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
