"""Look-ups in the directory."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.core.canonical import canonical_json
from shared.core.clock import parse_rfc3339
from shared.core.contracts.directory import Directory, Party
from shared.core.errors import Refused
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import read_directory
from tests.shared.core.routing.builders import directory_document, directory_of, hotline, provider

DAY = date(2026, 4, 1)


def key(number: int, use: str = "seal", **more: Any) -> dict[str, Any]:
    public = base64.urlsafe_b64encode(bytes([number]) * 32).decode().rstrip("=")
    suite = "x25519" if use == "seal" else "ed25519"
    fields = {"key_id": f"{suite}-{number:032x}", "use": use, "suite": suite, "public": public}
    return fields | {"valid_from": "2026-01-01T00:00:00Z"} | more


def with_keys(*keys: dict[str, Any]) -> DirectoryIndex:
    return directory_of(hotline("hotline-nl.example", "NL", keys=keys))


def test_an_instance_serves_the_parties_that_name_it() -> None:
    index = directory_of(hotline("hotline-nl.example", "NL"))
    assert index.serves("hotline", "hotline-nl.example")
    assert not index.serves("industry", "hotline-nl.example")
    assert not index.serves("hotline", "nobody.example")
    instance = index.instance_of("hotline-nl.example")
    assert instance is not None
    assert instance == index.instance("hotline")
    assert index.kinds()["hotline"] == instance.kind == "hotline"
    assert index.instance_of("nobody.example") is None


def with_instance_keys(*keys: dict[str, Any]) -> DirectoryIndex:
    document = directory_document(hotline("hotline-nl.example", "NL")).model_dump(mode="json")
    document["instances"][0]["keys"] = list(keys)
    return read_directory(json.dumps(document).encode())


def test_a_sealing_key_of_a_party_refuses_the_directory_and_is_named() -> None:
    """The instance that serves the party could open nothing that is sealed to it."""
    assert with_keys(key(1, "sign")).party("hotline-nl.example") is not None
    with pytest.raises(Refused, match="directory_party_key_seals") as refused:
        with_keys(key(1, "sign"), key(2))
    assert refused.value.field == "/parties/0/keys/1/use"


def test_a_signing_key_is_found_by_its_id_and_a_sealing_key_is_not_one() -> None:
    index = with_instance_keys(key(1, "sign"), key(2))
    found = index.signing_key(f"ed25519-{1:032x}")
    assert found is not None
    assert (found.owner, found.public) == ("hotline", b"\x01" * 32)
    assert index.signing_key(f"x25519-{2:032x}") is None
    assert index.signing_key(f"ed25519-{9:032x}") is None


@pytest.mark.parametrize("strange", [{"suite": "mldsa65"}, {"use": "attest"}, {"use": "attest", "suite": "mldsa65"}])
def test_a_key_of_a_suite_or_use_to_come_is_passed_over_and_the_directory_read(strange: dict[str, str]) -> None:
    index = with_instance_keys(key(1, "sign") | strange, key(2) | strange, key(3, "sign"), key(4))
    assert index.signing_key(f"ed25519-{1:032x}") is None
    assert index.signing_key(f"ed25519-{3:032x}") is not None
    sealing = index.sealing_key("hotline", datetime(2026, 4, 1, tzinfo=UTC))
    assert sealing is not None
    assert sealing.key_id == f"x25519-{4:032x}"
    assert with_keys(key(1, "sign") | strange, key(2) | {"use": "attest"}).party("hotline-nl.example") is not None


def test_a_key_is_valid_from_its_first_moment_until_before_its_last() -> None:
    index = with_keys(key(1, "sign", valid_to="2026-02-01T00:00:00Z"))
    found = index.signing_key(f"ed25519-{1:032x}")
    assert found is not None
    moments = ["2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"]
    assert [found.valid_at(parse_rfc3339(moment)) for moment in moments] == [False, True, False]


def test_sealing_uses_the_newest_key_that_is_valid() -> None:
    index = with_instance_keys(
        key(1), key(2, valid_from="2026-03-01T00:00:00Z", valid_to="2026-05-01T00:00:00Z"), key(3, "sign")
    )
    numbers = []
    for month in (2, 4, 6):
        found = index.sealing_key("hotline", datetime(2026, month, 1, tzinfo=UTC))
        assert found is not None
        numbers.append(found.public[0])
    assert numbers == [1, 2, 1]
    assert index.sealing_key("hotline", datetime(2025, 1, 1, tzinfo=UTC)) is None
    assert index.sealing_key("nobody", datetime(2026, 4, 1, tzinfo=UTC)) is None


@pytest.fixture(scope="module")
def providers() -> DirectoryIndex:
    until, since = {"valid_from": "2015-01-01", "valid_to": "2026-04-01"}, {"valid_from": "2026-04-01"}
    return directory_of(
        provider(
            "provider-001.example",
            "US",
            domains=[{"domain": "old.example"} | until, {"domain": "cdn.provider-001.example"} | since],
            asns=[{"asn": 64496} | until],
        ),
        provider(
            "provider-002.example",
            "US",
            domains=[{"domain": "old.example"} | since],
            asns=[{"asn": 64496} | since],
            aliases=[{"party": "provider-009.example"} | since],
        ),
    )


def test_a_name_or_number_belongs_to_the_one_who_held_it_that_day(providers: DirectoryIndex) -> None:
    for day, owner in ((date(2026, 3, 31), "provider-001.example"), (DAY, "provider-002.example")):
        assert providers.provider_by_asn(64496, day) == owner
        assert providers.provider_by_domain("old.example", day) == owner
    assert providers.provider_by_asn(64497, DAY) is None
    assert providers.provider_by_asn(64496, date(2014, 1, 1)) is None


def test_a_number_that_nobody_took_over_is_nobodys() -> None:
    held = [{"asn": 64500, "valid_from": "2015-01-01", "valid_to": "2026-04-01"}]
    index = directory_of(provider("provider-001.example", "US", asns=held))
    assert index.provider_by_asn(64500, date(2026, 3, 31)) == "provider-001.example"
    assert index.provider_by_asn(64500, DAY) is None


def test_a_name_that_two_claim_is_the_one_to_whom_it_came_last() -> None:
    owners = [("provider-002.example", "2020-01-01"), ("provider-001.example", "2021-01-01")]
    parties = [provider(name, domains=[{"domain": "both.example", "valid_from": since}]) for name, since in owners]
    assert directory_of(*parties).provider_by_domain("both.example", DAY) == "provider-001.example"
    assert directory_of(*parties).provider_by_domain("both.example", date(2020, 6, 1)) == "provider-002.example"


def test_a_host_belongs_to_the_owner_of_the_nearest_domain_above_it(providers: DirectoryIndex) -> None:
    assert providers.provider_by_domain("A.B.Old.example.", DAY) == "provider-002.example"
    assert providers.provider_by_domain("img.cdn.provider-001.example", DAY) == "provider-001.example"
    assert providers.provider_by_domain("notold.example", DAY) is None
    assert providers.provider_by_domain("example", DAY) is None


def test_a_former_name_is_an_alias_from_the_day_it_became_one(providers: DirectoryIndex) -> None:
    assert providers.party_by_alias("provider-009.example", DAY) == "provider-002.example"
    assert providers.party_by_alias("provider-009.example", date(2026, 3, 31)) is None
    assert providers.party_by_alias("provider-001.example", DAY) == "provider-001.example"
    assert providers.party_by_alias("nobody.example", DAY) is None


TWICE = hotline("hotline-nl.example", "NL")


@pytest.mark.parametrize(
    ("code", "field", "parties"),
    [
        ("directory_id_repeated", "/parties/1", [TWICE, TWICE]),
        ("directory_id_repeated", "/parties/0", [hotline("hotline", "NL")]),
        (
            "directory_id_repeated",
            "/parties/1",
            [hotline(f"hotline-{code}.example", "NL", keys=[key(1, "sign")]) for code in ("nl", "be")],
        ),
        ("directory_instance_mismatched", "/parties/0/instance", [hotline("hotline-nl.example", instance="industry")]),
        ("directory_instance_mismatched", "/parties/0/instance", [hotline("hotline-nl.example", instance="nowhere")]),
    ],
)
def test_a_directory_that_contradicts_itself_is_refused(code: str, field: str, parties: list[Party]) -> None:
    with pytest.raises(Refused) as refusal:
        directory_of(*parties)
    assert (refusal.value.code, refusal.value.field) == (code, field)


def test_a_body_that_is_not_a_directory_is_refused_with_the_field() -> None:
    document: Directory = directory_document(hotline("hotline-nl.example", "NL"))
    body = document.model_dump(mode="json")
    body["parties"][0]["kind"] = "press"
    with pytest.raises(Refused, match="document_invalid") as refusal:
        read_directory(canonical_json(body))
    assert refusal.value.field == "/parties/0/kind"


def test_a_party_is_suspended_by_its_own_entry() -> None:
    index = directory_of(hotline("hotline-nl.example", "NL"), hotline("hotline-be.example", "BE", status="suspended"))
    found = [index.is_suspended(each) for each in ("hotline-be.example", "hotline-nl.example", "nobody.example")]
    assert found == [True, False, False]
