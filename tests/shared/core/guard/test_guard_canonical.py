"""L3: one canonical form of each address, and the parts of it that are stored."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.contracts.referral import CutUrl, ReferralRecord
from shared.core.errors import Refused
from shared.core.guard import as_kept, cost, cuts, inspect
from shared.core.guard.canonical import canonical
from shared.core.guard.charge import BYTE
from shared.core.guard.templates import TemplateRule, templates
from shared.core.guard.url_redaction import kept
from shared.core.protocol.minimise import whole_record
from tests.guard_report.channels import charge_of
from tests.shared.core.guard.records import located, record, refusal

ONION, DEAR = f"{'a7' * 28}.onion/x", "&".join(f"utm_source={n}{'q7Zk' * 20}" for n in range(2))
ROWS = {row.name: row for row in templates().rows}


@pytest.mark.parametrize(
    ("spelt", "one"),
    [
        ("https://Site.EXAMPLE", "https://site.example/"),
        ("https://site.example:443/a", "https://site.example/a"),
        ("https://site.example?q=1", "https://site.example/?q=1"),
        ("https://site.example/%7ea%2fb%41", "https://site.example/~a%2FbA"),
        ("https://site.example/100%", "https://site.example/100%25"),
        ("https://site.example/%zz%C3%b6", "https://site.example/%25zz%C3%B6"),
    ],
)
def test_an_address_has_one_spelling(spelt: str, one: str) -> None:
    assert canonical(spelt, "url") == one
    assert refusal(located(spelt)) == ("guard_rules_not_canonical", "/items/0/locator/value")
    inspect(as_kept(located(spelt)))


def test_accounts_and_messages_stay_as_they_are() -> None:
    assert canonical("Anna%41", "account") == "Anna%41"


@pytest.mark.parametrize("name", ROWS)
def test_each_row_does_what_its_examples_say(name: str) -> None:
    row = ROWS[name]
    assert row.examples
    for before, after in row.examples:
        assert kept(before) == (after, (name,))
        assert kept(after).text == after


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.opens], ids=lambda row: row.name)
def test_what_opens_an_item_stays(row: TemplateRule) -> None:
    base = row.examples[0][1].partition("?")[0]
    for opens in row.opens:
        assert kept(f"{base}?{opens}=k7").text == canonical(f"{base}?{opens}=k7", "url")


def test_rows_do_not_overlap_and_no_name_both_opens_and_is_cut() -> None:
    for row in ROWS.values():
        assert row.cuts.others([*row.opens]) == [*row.opens]
        for before, _ in row.examples:
            path = "/" + before.split("/", 3)[3].split("?")[0]
            others = [
                each.name for each in ROWS.values() if set(each.hosts) & set(row.hosts) and each.path.fullmatch(path)
            ]
            assert others == [row.name]


def test_of_an_unknown_service_a_signature_is_cut_only_over_the_budget_of_a_field() -> None:
    signature = f"X-Amz-Credential={'Zq9LmP2k' * 16}&X-Amz-Signature={'0a7f' * 16}"
    live = f"https://files.example/a.jpg?versionId=7&{signature}"
    assert 128 * BYTE < charge_of(live, "url") <= 320 * BYTE
    assert kept(live) == (live, ())
    over = f"{live}&X-Amz-Security-Token={'Zq9LmP2k' * 40}"
    assert charge_of(over, "url") > 320 * BYTE
    assert kept(over) == ("https://files.example/a.jpg?versionId=7", ("signatures",))


def test_a_token_in_a_path_is_cut_where_it_is_dear_and_leaves_the_rest_of_the_path() -> None:
    token = f"eyJhbGciOiJIUzI1NiJ9.eyJ{'q7Zk' * 30}.{'c2lnbmF0dXJl' * 4}"
    dear = f"https://video.example/play/{token}/seg/4.ts?part=2"
    assert kept(dear) == ("https://video.example/play/-/seg/4.ts?part=2", ("trackers",))
    assert kept(short := "https://video.example/eyJhbGc.eyJzdWI.c2ln/4.ts") == (short, ())


def test_a_row_is_found_behind_a_user_name() -> None:
    before = "https://anna:pass@bucket.s3.eu-central-1.amazonaws.com/a.jpg?X-Amz-Signature=0"
    assert kept(before) == ("https://anna:pass@bucket.s3.eu-central-1.amazonaws.com/a.jpg", ("s3",))


def test_of_an_unknown_service_only_trackers_are_cut_and_only_where_they_are_dear() -> None:
    short = "https://site.example/a?id=7&utm_source=share"
    assert kept(short) == (short, ())
    dear = f"https://site.example/a?id=7&fbclid=IwAR{'a7Zq9LmP2k' * 20}&x=1"
    assert charge_of(dear, "url") > 128 * BYTE
    assert kept(dear) == ("https://site.example/a?id=7&x=1", ("trackers",))


def test_what_was_cut_travels_by_rule_alone() -> None:
    before, after = ROWS["s3"].examples[0]
    content = as_kept(located("https://site.example/", before))
    assert isinstance(content.items[1].locator, CutUrl)
    assert cuts(content) == ((2, ("s3",), None),)
    told = [item["locator"] for item in whole_record(content)["items"]]
    assert told == [{"kind": "url", "value": "https://site.example/"}, {"kind": "url", "value": after, "cut": ["s3"]}]


def test_of_a_redirector_it_is_told_where_it_leads() -> None:
    before, after = ROWS["facebook_out"].examples[0]
    assert cuts(as_kept(located(before))) == ((1, ("facebook_out",), after),)


@given(
    st.integers(0, 3), st.sampled_from(["https://site.example/a?b=1", *(row.examples[0][0] for row in ROWS.values())])
)
def test_what_is_kept_stays_as_it_is_however_often_it_was_wrapped(times: int, address: str) -> None:
    for _ in range(times):
        address = f"https://l.facebook.com/l.php?u={quote(address, safe='')}&h=AT0"
    once = kept(address[:2_000])
    assert kept(once.text).text == once.text


@pytest.mark.parametrize(
    ("redirectors", "code"), [(4, None), (5, "guard_rules_not_kept"), (100, "guard_rules_not_kept")]
)
def test_four_redirectors_of_an_address_are_followed_and_one_with_more_is_refused(
    redirectors: int, code: str | None
) -> None:
    content = as_kept(located("http://href.li/?z=" * redirectors + "https://site.example/a"))
    if code is None:
        inspect(content)
        assert content.items[0].locator.value == "https://site.example/a"
    else:
        assert refusal(content) == (code, "/items/0/locator/value")


@pytest.mark.parametrize(("address", "kind"), [(ROWS["s3"].examples[0][0], "url"), (f"{ONION}?{DEAR}", "onion")])
def test_from_an_item_that_is_uncut_nothing_is_cut(address: str, kind: str) -> None:
    item = {"locator": {"kind": kind, "value": address}}
    filed = record(items=[item, item | {"uncut": True}])
    assert refusal(filed) == ("guard_rules_not_kept", "/items/0/locator/value")
    content = as_kept(filed)
    assert content.items[1] == filed.items[1]
    assert [each.n for each in cuts(content)] == [1]
    inspect(content)
    assert cost(record(items=[item | {"uncut": True}])).field == charge_of(address, kind)
    told = whole_record(content)["items"]
    assert [each.get("uncut") for each in told] == [None, True]
    assert cost(ReferralRecord.model_validate({**whole_record(content)})).record > charge_of(address, kind)


def test_what_is_uncut_has_one_spelling_all_the_same_and_names_no_rule() -> None:
    item: dict[str, Any] = {"locator": {"kind": "url", "value": "https://Site.example/%7ea"}, "uncut": True}
    assert as_kept(record(items=[item])).items[0].locator.value == "https://site.example/~a"
    cut = {"n": 1, "locator": {"kind": "url", "value": "https://site.example/", "cut": ["s3"]}}
    told = whole_record(located("https://site.example/"))
    inspect(ReferralRecord.model_validate(told | {"items": [cut]}))
    with pytest.raises(Refused, match="guard_rules_not_kept"):
        inspect(ReferralRecord.model_validate(told | {"items": [cut | {"uncut": True}]}))
