"""Homonyms: one name that several modules give to their own classes."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable

from tests.architecture.source import Module


def homonyms(sources: Iterable[Module]) -> dict[str, list[str]]:
    """Return class name → the modules that define a class of that name, if there are several; names sorted.

    A leading underscore is part of the name; classes within classes and functions count too.
    """
    defined: dict[str, set[str]] = defaultdict(set)
    for module in sources:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                defined[node.name].add(module.path)
    return {name: sorted(paths) for name, paths in sorted(defined.items()) if len(paths) > 1}
