"""Releases by which forms of locations they know: the first alone, a later one beside it, or that alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast
from unittest.mock import patch

from shared.exchange import locations
from shared.exchange.locations import Form, compared_1


def _without_capitals(value: str, kind: str) -> str:
    """A coarser form: other places in one path are told apart by their letters alone."""
    return compared_1(value, kind).lower()


_FORMS: Final = {1: locations.FORMS[1], 2: Form(locations.FORMS[1].edition, _without_capitals)}


@contextmanager
def knowing(*versions: int) -> Iterator[None]:
    """Within it the release that runs knows these forms, and no others."""
    forms = cast(dict[int, Form], locations.FORMS)
    with patch.dict(forms, {version: _FORMS[version] for version in versions}, clear=True):
        yield
