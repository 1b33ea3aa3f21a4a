"""Editions of the vocabulary: the codes, and the edition that introduced each.

Codes are added and never removed. The values of assessment schemes are codes, too, with a separate list for each
scheme.

An edition is identified by its digest. For the edition of a peer, a release knows which of its own codes are too new.
An unknown edition belongs to a later release, which has all codes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

from shared.core.vocabulary import judgement
from shared.core.vocabulary.code import Code

#: The modules with lists of the vocabulary. Lists in other modules are local, and no message has their codes.
LISTS: Final = frozenset(f"{__package__}.{each.name}" for each in iter_modules([str(Path(__file__).parent)]))
for _each in LISTS:
    import_module(_each)
#: The codes that each edition after the first has added, in `spelt` form, the oldest first.
ADDED: Final[tuple[frozenset[str], ...]] = ()


def spelt(code: Code) -> str:
    """Return a code with the name of its list, for example `IncidentKind:csam`."""
    return f"{type(code).__name__}:{code.value}"


def spelt_value(scheme: judgement.AssessmentScheme, value: str) -> str:
    """Return a value of an assessment scheme in the form of `spelt`, for example `AssessmentValue:iwf:A`."""
    return f"AssessmentValue:{scheme.value}:{value}"


@cache
def editions() -> tuple[str, ...]:
    """Return the digest of each edition, the oldest first: SHA-256 of its codes, sorted, a line each."""
    return tuple(hashlib.sha256("\n".join(sorted(codes)).encode()).hexdigest() for codes in codes_of_editions())


def codes_of_editions() -> tuple[frozenset[str], ...]:
    """Return the codes of each edition, the oldest first, in the form of `spelt` and `spelt_value`."""
    codes = _codes()
    return tuple(codes.difference(*ADDED[start:]) for start in range(len(ADDED) + 1))


def edition() -> str:
    """Return the newest edition, which this release reads."""
    return editions()[-1]


@cache
def later_than(edition: str) -> frozenset[str]:
    """Return the codes, in `spelt` form, that are newer than `edition`; none for an unknown one."""
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
