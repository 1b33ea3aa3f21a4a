"""The role of a party's person or key: one that opens its own service."""

from __future__ import annotations

from typing import get_args

import pytest

from deploy.operator.keys import role_at
from shared.kernel.authority import GivenRole, Role
from shared.kernel.errors import Refused
from shared.routing.directory_index import PartyEntry
from shared.runtime.http.identity import KEY_ROLES
from shared.vocabulary.routing import PartyKind
from tests.deploy.operator.conftest import Run

POLICE, AUDITOR = "police-nl.example", "auditor.example"
CALLS = [("dev", "login-link"), ("key", "issue")]


def entry(party: str) -> PartyEntry:
    kind = PartyKind.AUDITOR if party == AUDITOR else PartyKind.LAW_ENFORCEMENT
    return PartyEntry(party, kind, "sandbox", "one", ("NL",), frozenset(), ())


def test_a_role_is_that_which_is_named_or_the_usual_one() -> None:
    given = [role_at(entry(POLICE), role, usual=Role.ANALYST) for role in (None, Role.VIEWER)]
    assert given == [Role.ANALYST, Role.VIEWER]
    assert role_at(entry(AUDITOR), None, usual=Role.ANALYST) is Role.AUDITOR


@pytest.mark.parametrize(("party", "role"), [(POLICE, Role.AUDITOR), (AUDITOR, Role.ANALYST)])
def test_a_role_that_opens_nothing_at_a_party_is_refused(party: str, role: Role) -> None:
    with pytest.raises(Refused, match="role_not_of_party"):
        role_at(entry(party), role, usual=Role.ANALYST)


@pytest.mark.parametrize("call", CALLS)
def test_no_verb_offers_the_role_of_the_instance_itself(run: Run, call: tuple[str, str]) -> None:
    assert {*get_args(GivenRole)} == KEY_ROLES
    ended = run(*call, POLICE, "--role", "service")
    assert ended.code == 2
    assert "--role" in ended.err
    assert "analyst" in ended.err
