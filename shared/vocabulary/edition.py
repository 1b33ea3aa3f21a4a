"""Editions of the vocabulary: which codes there are, and since which edition. It only grows; no code is taken away.

The values of assessment schemes are codes like any other, though each scheme has a list of its own.

An edition is known by its digest. Whoever is told one that it knows knows which of its own codes are too new for it;
one that it does not know is a later release's, and has all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

from shared.vocabulary import judgement
from shared.vocabulary.code import Code

#: The modules whose lists are of the vocabulary. A list elsewhere is a door's own, and no message says its codes.
LISTS: Final = frozenset(f"{__package__}.{each.name}" for each in iter_modules([str(Path(__file__).parent)]))
for _each in LISTS:
    import_module(_each)
#: What each edition after the first has added, the oldest first: `spelt` codes.
ADDED: Final[tuple[frozenset[str], ...]] = ()


def spelt(code: Code) -> str:
    """A code with the list that it stands in, for example `IncidentKind:csam`."""
    return f"{type(code).__name__}:{code.value}"


def spelt_value(scheme: judgement.AssessmentScheme, value: str) -> str:
    """A value of an assessment scheme, as `spelt` spells codes, for example `AssessmentValue:iwf:A`."""
    return f"AssessmentValue:{scheme.value}:{value}"


@cache
def editions() -> tuple[str, ...]:
    """The digest of each edition, the oldest first: SHA-256 of its codes, sorted, a line each."""
    return tuple(hashlib.sha256("\n".join(sorted(codes)).encode()).hexdigest() for codes in codes_of_editions())


def codes_of_editions() -> tuple[frozenset[str], ...]:
    """What is in each edition, the oldest first, spelt as `spelt` and `spelt_value` do."""
    codes = _codes()
    return tuple(codes.difference(*ADDED[start:]) for start in range(len(ADDED) + 1))


def edition() -> str:
    """The edition that is read here: the newest."""
    return editions()[-1]


@cache
def later_than(edition: str) -> frozenset[str]:
    """The codes, `spelt`, that came after `edition`; none after one that is not known here, which is a later one."""
    known = editions()
    if edition not in known:
        return frozenset()
    return frozenset[str]().union(*ADDED[known.index(edition) :])


def _codes() -> frozenset[str]:
    values = (spelt_value(scheme, each) for scheme, listed in judgement.ASSESSMENT_VALUES.items() for each in listed)
    return frozenset(spelt(code) for kind in _kinds(Code) if kind.__module__ in LISTS for code in kind).union(values)


def _kinds(above: type[Code]) -> Iterator[type[Code]]:
    for kind in above.__subclasses__():
        yield kind
        yield from _kinds(kind)
