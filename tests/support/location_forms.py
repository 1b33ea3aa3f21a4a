"""Releases that differ in the forms of locations they know: the first, a later one, or both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast
from unittest.mock import patch

from shared.core.protocol import locations
from shared.core.protocol.locations import Form, compared_1


def _without_capitals(value: str, kind: str) -> str:
    """Return a coarser form, which ignores the case of letters in a path."""
    return compared_1(value, kind).lower()


_FORMS: Final = {1: locations.FORMS[1], 2: Form(locations.FORMS[1].edition, _without_capitals)}


@contextmanager
def knowing(*versions: int) -> Iterator[None]:
    """Let the running release know only these forms within the block."""
    forms = cast(dict[int, Form], locations.FORMS)
    with patch.dict(forms, {version: _FORMS[version] for version in versions}, clear=True):
        yield
