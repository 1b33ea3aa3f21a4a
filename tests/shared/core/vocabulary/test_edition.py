"""An edition of the vocabulary contains all codes that a release knows."""

from __future__ import annotations

from pathlib import Path

import shared.core.vocabulary
from shared.core.vocabulary.code import Code
from shared.core.vocabulary.edition import LISTS, editions

FOLDER = Path(shared.core.vocabulary.__file__).parent


def test_every_module_that_has_a_list_of_codes_is_in_the_edition() -> None:
    with_lists = {kind.__module__ for kind in _kinds(Code) if kind.__module__.startswith("shared.core.vocabulary.")}
    assert with_lists <= LISTS
    assert {f"shared.core.vocabulary.{path.stem}" for path in FOLDER.glob("*.py")} - LISTS == {
        "shared.core.vocabulary.__init__"
    }


def test_each_edition_is_another() -> None:
    assert len(set(editions())) == len(editions())


def _kinds(above: type[Code]) -> set[type[Code]]:
    return {kind for each in above.__subclasses__() for kind in {each, *_kinds(each)}}
