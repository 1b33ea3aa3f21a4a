"""The file that names each party's sign-in provider."""

from __future__ import annotations

import json

import pytest

from shared.core.errors import Refused
from shared.platform.sign_in.providers import read_clients

GOOD = {"party": "police-nl.example", "issuer": "https://login.police.example", "client_id": "causeway"}


def test_a_file_is_read() -> None:
    [client] = read_clients(json.dumps([GOOD | {"client_secret": "a-secret", "acr": "two-factors"}]))
    assert (client.issuer, client.acr) == ("https://login.police.example", "two-factors")
    assert "a-secret" not in repr(client)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"issuer": "http://login.police.example"}, "/0/issuer"),
        ({"issuer": "https://user:word@login.police.example"}, "/0/issuer"),
        ({"issuer": "https://login.police.example?x=1"}, "/0/issuer"),
        ({"issuer": "file:///etc/passwd"}, "/0/issuer"),
        ({"party": "Police"}, "/0/party"),
        ({"client_id": "two words"}, "/0/client_id"),
        ({"scope": "email"}, "/0/scope"),
    ],
    ids=["without TLS", "with a user", "with a query", "a file", "no party", "a space", "unknown"],
)
def test_a_file_that_breaks_a_rule_is_refused_by_member_and_without_its_value(
    changed: dict[str, str], field: str
) -> None:
    with pytest.raises(Refused) as refused:
        read_clients(json.dumps([GOOD | changed]))
    assert (refused.value.code, refused.value.field) == ("sign_in_file_malformed", field)
    assert next(iter(changed.values())) not in str(refused.value)


def test_a_party_has_one_provider() -> None:
    with pytest.raises(Refused, match="sign_in_file_malformed"):
        read_clients(json.dumps([GOOD, GOOD]))


def test_a_provider_on_this_machine_may_be_without_tls() -> None:
    assert read_clients(json.dumps([GOOD | {"issuer": "http://localhost:4000"}]))
