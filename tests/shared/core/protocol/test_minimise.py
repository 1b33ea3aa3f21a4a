"""A recipient gets a field of the record or its items only if it is listed. Fields do not travel by default."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, get_args

import pytest
from pydantic_core import to_json

from shared.core.contracts.base import Contract
from shared.core.contracts.referral import (
    Assessment,
    Item,
    NoticeAssessment,
    NoticeItem,
    NoticeRecord,
    NumberedItem,
    ReferralRecord,
    ReferralSubmission,
)
from shared.core.errors import Refused
from shared.core.protocol.minimise import (
    ITEM_FIELDS,
    NOTICE_ASSESSMENT_FIELDS,
    NOTICE_FIELDS,
    NOTICE_ITEM_FIELDS,
    RECORD_FIELDS,
    notice_record,
    own_record,
    referral_record,
    whole_record,
)
from shared.core.vocabulary.routing import PartyKind, WithheldField
from tests.support.exchange_world import SUBMISSION, merged

#: For each list of `minimise`: the model that it selects from, the selected fields, and the fields withheld on purpose.
DECIDED: dict[str, tuple[type[Contract], Collection[str], Collection[str]]] = {
    "hotline": (ReferralSubmission, RECORD_FIELDS["hotline"], ("exercise", "subject_accounts")),
    "law enforcement": (ReferralSubmission, RECORD_FIELDS["law_enforcement"], ("exercise",)),
    "industry": (
        ReferralSubmission,
        (*NOTICE_FIELDS, "items"),
        (
            "actionable",
            "correlations",
            "exercise",
            "external_ref",
            "incident_flags",
            "observed_at",
            "priority",
            "subject_accounts",
            "user_jurisdictions",
            "victim_jurisdictions",
            "viewed_by",
        ),
    ),
    "item": (NumberedItem, ITEM_FIELDS, ()),
    # A notice counts its items itself.
    "item of a notice": (NumberedItem, NOTICE_ITEM_FIELDS, ("commerciality", "hosting", "n")),
    "assessment in a notice": (Assessment, NOTICE_ASSESSMENT_FIELDS, ("assessor", "assessed_on")),
}
#: The two models that list each field: as filed and as sent.
LISTED = {ReferralSubmission, ReferralRecord, Item, NumberedItem}
#: Members that travel with their field. A new member travels wherever the field does, so decide about it here.
BELOW = {
    "AccountLocator": ("kind", "value"),
    "CutOnion": ("kind", "value", "cut"),
    "CutUrl": ("kind", "value", "cut"),
    "ListedAssessment": ("scheme", "value", "jurisdiction", "status", "assessor", "assessed_on"),
    "Actionable": ("status", "missing"),
    "Assessment": ("scheme", "value", "jurisdiction", "status", "assessor", "assessed_on"),
    "Correlation": ("system", "ref"),
    "Hashes": ("md5", "sha1", "sha256", "pdq", "photodna", "tmk_pdqf"),
    "Hosting": ("jurisdiction", "asn", "provider", "is_cdn", "method", "observed_on"),
    "MessageLocatorItem": ("kind", "value"),
    "NetworkObservation": ("ip", "port", "at", "kind"),
    "OnionLocator": ("kind", "value"),
    "PeerLocator": ("kind", "value"),
    "Priority": ("level", "basis"),
    "SubjectAccount": ("service", "account", "events"),
    "UrlLocator": ("kind", "value"),
}
FULL: dict[str, Any] = SUBMISSION | {
    "incident_flags": ["sextortion"],
    "priority": {"level": "p1_urgent"},
    "viewed_by": "automated_only",
}


def record(**changes: Any) -> dict[str, Any]:
    return whole_record(ReferralSubmission.model_validate_json(json.dumps(merged(FULL, changes))))


def undecided(model: type[Contract], listed: Collection[str], left: Collection[str]) -> set[str]:
    """Return fields of a model without a decision on whether they travel, and decided fields that no longer exist."""
    return set(model.model_fields) ^ {*listed, *left}


@pytest.mark.parametrize("name", DECIDED)
def test_somebody_has_decided_about_every_field(name: str) -> None:
    model, listed, left = DECIDED[name]
    assert set(listed) & set(left) == set()
    assert undecided(model, listed, left) == set()
    grown = type("Grown", (model,), {"__annotations__": {"channel": "str"}, "channel": ""})
    assert undecided(grown, listed, left) == {"channel"}


@pytest.mark.parametrize(
    ("listed", "record"),
    [
        (RECORD_FIELDS["hotline"], ReferralRecord),
        (RECORD_FIELDS["law_enforcement"], ReferralRecord),
        (ITEM_FIELDS, NumberedItem),
        ((*NOTICE_FIELDS, "items"), NoticeRecord),
        (NOTICE_ITEM_FIELDS, NoticeItem),
        (NOTICE_ASSESSMENT_FIELDS, NoticeAssessment),
    ],
)
def test_what_is_listed_has_a_place_in_the_record_that_travels(listed: Collection[str], record: type[Contract]) -> None:
    """Otherwise its recipient would refuse the whole record for an unknown field."""
    assert homeless(listed, record) == set()
    assert homeless((*listed, "channel"), record) == {"channel"}


def homeless(listed: Collection[str], record: type[Contract]) -> set[str]:
    """Return listed fields that the record at the recipient has no place for."""
    return set(listed) - record.model_fields.keys()


def test_what_lies_below_is_known_too() -> None:
    models = {*models_in(ReferralSubmission), *models_in(ReferralRecord)} - LISTED
    assert {model.__name__: (*model.model_fields,) for model in models} == BELOW


def models_in(annotation: Any) -> Iterator[type[Contract]]:
    """Yield every model in an annotation, and those in the fields of such a model."""
    if isinstance(annotation, type) and issubclass(annotation, Contract):
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


@pytest.mark.parametrize("kind", [PartyKind.HOTLINE, PartyKind.LAW_ENFORCEMENT])
def test_a_field_that_nobody_listed_reaches_nobody(kind: PartyKind) -> None:
    planted = record()
    planted = planted | {"channel": "telephone", "items": [item | {"channel": "x"} for item in planted["items"]]}
    items = range(len(planted["items"]))
    assert b"channel" not in to_json(referral_record(planted, kind, items, withheld=()))
    assert b"channel" not in to_json(notice_record(planted, items, withheld=()))
    # The control: the origin stores all that it filed.
    assert json.loads(own_record(planted)) == planted


def test_what_is_listed_travels_as_it_was_filed_unless_it_is_withheld() -> None:
    whole = record()
    assert referral_record(whole, PartyKind.LAW_ENFORCEMENT, range(2), withheld=()) == whole
    for field in WithheldField:
        sent = referral_record(whole, PartyKind.LAW_ENFORCEMENT, range(2), withheld=(field,))
        assert sent.keys() == whole.keys() - {field.value}
        assert [item.keys() for item in sent["items"]] == [item.keys() - {field.value} for item in whole["items"]]
        assert field.value not in notice_record(whole, [0], withheld=(field,))["items"][0]


def test_only_the_items_that_an_edge_is_about_travel() -> None:
    whole = record()
    assert len(whole["items"]) == 2
    for number, other in ((0, 1), (1, 0)):
        for sent in (
            referral_record(whole, PartyKind.LAW_ENFORCEMENT, [number], withheld=()),
            notice_record(whole, [number], withheld=()),
        ):
            assert [each["locator"] for each in sent["items"]] == [whole["items"][number]["locator"]]
            assert whole["items"][other]["locator"]["value"] not in json.dumps(sent)


EVERY: dict[str, str] = {"md5": "0" * 32, "sha1": "1" * 40, "sha256": "2" * 64, "pdq": "3" * 64}
EVERY |= {"photodna": "A" * 192, "tmk_pdqf": "4" * 64}


@pytest.mark.parametrize(
    ("has", "allowed", "sent"),
    [
        (EVERY.keys(), (), {"sha256", "pdq"}),
        (("md5", "sha1"), (), {"sha1"}),
        (("md5", "photodna"), (), {"md5"}),
        (("tmk_pdqf", "photodna"), (), set()),
        (EVERY.keys(), ("md5", "photodna"), {"sha256", "pdq", "md5", "photodna"}),
        (("pdq",), tuple(EVERY), {"pdq"}),
    ],
)
def test_of_hashes_pdq_travels_one_cryptographic_and_what_the_rules_allow(
    has: Collection[str], allowed: Collection[str], sent: set[str]
) -> None:
    whole = record()
    whole["items"][0]["hashes"] = {kind: value for kind, value in EVERY.items() if kind in has}
    before = json.dumps(whole)
    for made in (
        referral_record(whole, PartyKind.LAW_ENFORCEMENT, [0], withheld=(), hash_kinds=allowed),
        notice_record(whole, [0], withheld=(), hash_kinds=allowed),
    ):
        assert made["items"][0]["hashes"].keys() == sent
    assert json.dumps(whole) == before


def test_photodna_travels_of_eight_items_at_most() -> None:
    whole = record()
    whole["items"] = [whole["items"][0] | {"n": n, "hashes": EVERY} for n in range(1, 11)]
    made = referral_record(whole, PartyKind.LAW_ENFORCEMENT, range(10), withheld=(), hash_kinds=EVERY)
    assert [item["n"] for item in made["items"] if "photodna" in item["hashes"]] == list(range(1, 9))
    assert all(item["hashes"].keys() == EVERY.keys() - {"photodna"} for item in made["items"][8:])


def test_items_keep_the_numbers_they_were_given() -> None:
    whole = record()
    assert [item["n"] for item in whole["items"]] == [1, 2]
    amended = ReferralRecord.model_validate(whole | {"items": [whole["items"][1] | {"n": 7}]})
    assert [item["n"] for item in whole_record(amended)["items"]] == [7]


def test_a_notice_says_nothing_of_the_items_that_it_does_not_have() -> None:
    """A notice with only the second item equals the notice of a referral with that one item."""
    whole = record()
    alone = whole | {"items": [whole["items"][1] | {"n": 1}]}
    assert notice_record(whole, [1], withheld=()) == notice_record(alone, [0], withheld=())
    assert [item["n"] for item in notice_record(whole, [0, 1], withheld=())["items"]] == [1, 2]


@pytest.mark.parametrize("kind", PartyKind)
def test_a_kind_of_recipient_that_has_no_list_gets_no_record(kind: PartyKind) -> None:
    if kind in RECORD_FIELDS:
        assert referral_record({"incident_kind": "csam", "items": []}, kind, [], withheld=())["incident_kind"]
    else:
        with pytest.raises(Refused, match="recipient_without_list"):
            referral_record({"incident_kind": "csam", "items": []}, kind, [], withheld=())


@pytest.mark.parametrize("kind", [PartyKind.HOTLINE, PartyKind.LAW_ENFORCEMENT])
@pytest.mark.parametrize("withheld", [(), *((field,) for field in WithheldField), tuple(WithheldField)])
def test_values_travel_unchanged(kind: PartyKind, withheld: tuple[WithheldField, ...]) -> None:
    whole = record()
    hidden = {*map(str, withheld)} | ({"subject_accounts"} if kind is PartyKind.HOTLINE else set())

    def shown(held: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in held.items() if name not in hidden}

    sent = referral_record(whole, kind, range(2), withheld=withheld)
    assert sent == shown(whole) | {"items": [shown(item) for item in whole["items"]]}
