"""Every code in the code has its cause and remedy in one table, and the table has no other codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import pytest

from shared.core.codes import ERRORS, FAMILIES, find_remedy
from shared.features.cases.rules import AGENCY
from shared.features.notices.rules import PROVIDER
from shared.features.offers.rules import HOTLINE
from tests.architecture.codes import Found, codes_in, constants, error_classes
from tests.architecture.source import ROOT, modules, parse

_KINDS = (HOTLINE, PROVIDER, AGENCY)
#: Places whose code is composed or chosen elsewhere; none where another error's code is passed on.
_ELSEWHERE: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("shared/core/protocol/accept.py", "error.code"): frozenset(),
    ("shared/core/protocol/accept.py", "error"): frozenset(),
    ("shared/core/guard/budget.py", "code"): frozenset({"guard_over_ceiling", "guard_over_budget"}),
    ("shared/core/guard/envelope_limits.py", "child.code"): frozenset(),
    ("shared/features/import_export/pages.py", "problem.code"): frozenset(),
    ("deploy/operator/routes.py", "error.code"): frozenset(),
    ("shared/core/errors.py", "code"): frozenset({"fields_invalid"}),
    ("shared/core/guard/rules.py", "error.code"): frozenset(),
    ("shared/core/guard/url_redaction.py", "errors[0]['rule']"): frozenset(),
    ("shared/features/filing/api/checking.py", "header['code']"): frozenset(),
    ("shared/features/received/rules.py", "f'message_not_for_{recipient.audience}'"): frozenset(
        f"message_not_for_{kind.audience}" for kind in _KINDS
    ),
    ("shared/features/received/rules.py", "f'{recipient.subject}_unknown'"): frozenset(
        f"{kind.subject}_unknown" for kind in _KINDS
    ),
    ("shared/features/received/rules.py", "f'{recipient.subject}_exists'"): frozenset(
        f"{kind.subject}_exists" for kind in _KINDS
    ),
    (
        "shared/platform/http/edge.py",
        "problems.broken_places(error.errors(include_url=False, include_input=False))",
    ): frozenset(),
    ("shared/core/protocol/accept.py", "unread_as(type_text, catalog)"): frozenset({"type_unknown", "version_unknown"}),
    ("client/cli/referral.py", "error.code"): frozenset(),
    ("client/problem.py", "code"): frozenset(),
    ("deploy/operator/document_checks.py", "objection.code"): frozenset(),
}


def found() -> list[Found]:
    every = modules()
    classes, named = error_classes(every), constants(every)
    return [place for module in every for place in codes_in(module, classes, named)]


def test_every_code_in_the_code_has_its_cause_and_its_mend_and_no_other_has() -> None:
    places = found()
    unread = {(place.path, place.spelt) for place in places if place.codes is None}
    assert unread == set(_ELSEWHERE)
    said = {code for place in places for code in place.codes or ()}.union(*_ELSEWHERE.values())
    assert len(said) >= 300
    assert (sorted(said - ERRORS.keys()), sorted(ERRORS.keys() - said)) == ([], [])


def test_a_code_stands_in_one_family_and_says_something() -> None:
    assert sum(map(len, FAMILIES.values())) == len(ERRORS)
    assert [code for code, why in ERRORS.items() if len(why.cause) < 12 or len(why.remedy) < 6] == []
    assert find_remedy("no_such_code") is None


def test_the_page_has_every_code_once() -> None:
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8").partition("## Rules of fields")[0]
    assert sorted(re.findall(r"^\| `([a-z0-9_]+)` \|", page, flags=re.MULTILINE)) == sorted(ERRORS)


@pytest.mark.parametrize(
    ("planted", "codes"),
    [
        ('raise Refused("a_code", "b")', {"a_code"}),
        ('raise errors.Refused(code="a_code")', {"a_code"}),
        ("raise Refused(NAMED)", {"named"}),
        ('def f():\n    code = "a" if x else "b"\n    raise Unavailable(code)', {"a", "b"}),
        ('def f(rule):\n    raise Refused(f"x_{rule}")\nf("y")\nf(rule="z")', {"x_y", "x_z"}),
        ('class Own(Refused):\n    def __init__(self):\n        super().__init__("own")', {"own"}),
    ],
    ids=["plain", "by name", "constant", "chosen", "put together", "own class"],
)
def test_a_code_is_found_however_it_is_said(planted: str, codes: set[str]) -> None:
    module = parse(planted)
    classes = error_classes((*modules("shared/core"), module))
    places = codes_in(module, classes, {"NAMED": "named"})
    assert {code for place in places for code in place.codes or ()} == codes


@pytest.mark.parametrize(
    ("planted", "status"),
    [
        ('raise Refused("a")', 422),
        ('raise Refused("a", status=409)', 409),
        ('raise Refused("a", status=told)', None),
        ('raise RetryLater("a", "b", headers={})', 429),
        ('raise Unavailable("a")', 503),
        ('raise Defect("a")', None),
        ('class Own(RetryLater):\n    def __init__(self):\n        super().__init__("a", "b", headers={})', 429),
    ],
    ids=["refused", "said", "computed", "not now", "unavailable", "ours", "own class"],
)
def test_a_status_is_found_by_what_is_said_or_else_by_the_class(planted: str, status: int | None) -> None:
    module = parse(planted)
    [place] = codes_in(module, error_classes((*modules("shared/core"), module)), {})
    assert place.status == status
