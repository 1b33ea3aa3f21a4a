"""Items of an offer, assessed one by one: each rule of the exchange between hotlines refuses with its own code."""

from __future__ import annotations

import pytest

from shared.core.contracts.answers import FindingStatement
from shared.core.contracts.items import AssessedItem
from shared.core.errors import Refused
from shared.core.protocol.findings import check, fold_offer, found_in, kept, stated
from shared.core.protocol.retention_grounds import folded

Found = tuple[AssessedItem, ...]
NUMBERS = (1, 2)


def finding(words: str) -> FindingStatement:
    """Parse a finding: `2 not_illegal other` is about item 2, with this reason; `-` is about every item."""
    n, word, *reason = words.split()
    named = "assessment" if word in ("baseline", "national", "not_illegal") else "action"
    said = {"n": None if n == "-" else int(n), named: word, "reason": reason[0] if reason else None}
    return FindingStatement.model_validate(said)


def found(*said: str) -> Found:
    """Return the findings after these statements, made one by one in this order."""
    before: Found = ()
    for each in said:
        before += stated([finding(each)], NUMBERS, before)
    return before


@pytest.mark.parametrize(
    ("before", "said", "code", "field"),
    [
        ([], "3 baseline", "item_unknown", "/assessed/0/n"),
        (["1 baseline"], "1 national", "assessment_final", "/assessed/0/assessment"),
        (["1 baseline"], "1 not_illegal other", "assessment_final", "/assessed/0/assessment"),
        (["1 not_illegal other"], "1 baseline", "assessment_final", "/assessed/0/assessment"),
        (["1 national", "1 reported_to_police"], "1 baseline", "assessment_final", "/assessed/0/assessment"),
        (["1 unavailable error_404"], "1 baseline", "assessment_final", "/assessed/0/assessment"),
        (["1 national"], "1 national", "item_action_repeated", "/assessed/0"),
        (["1 baseline", "1 removed"], "1 removed", "item_action_repeated", "/assessed/0"),
        (["1 not_illegal other"], "1 removed", "item_answer_contradicts", "/assessed/0"),
        (["1 baseline", "1 removed"], "1 unavailable other", "item_answer_contradicts", "/assessed/0"),
        ([], "1 removed", "assessment_missing", "/assessed/0"),
        ([], "1 unavailable", "reason_needed", "/assessed/0/reason"),
        ([], "1 not_illegal", "reason_needed", "/assessed/0/reason"),
        ([], "1 baseline other", "reason_needed", "/assessed/0/reason"),
    ],
)
def test_what_may_not_be_said_is_refused_by_its_code(before: list[str], said: str, code: str, field: str) -> None:
    with pytest.raises(Refused) as refusal:
        stated([finding(said)], NUMBERS, found(*before))
    assert (refusal.value.code, refusal.value.field, refusal.value.status) == (code, field, 422)


def test_neither_and_both_are_refused() -> None:
    for said in (FindingStatement(n=1), finding("1 baseline").model_copy(update={"action": "removed"})):
        with pytest.raises(Refused, match="assessment_or_action"):
            stated([said], NUMBERS, ())


def test_national_is_overruled_until_somebody_has_acted() -> None:
    assert [each.assessment for each in found("1 national", "1 not_illegal other")] == ["national", "not_illegal"]
    assert len(found("1 national", "1 baseline", "1 reported_to_police", "1 reported_to_provider", "1 removed")) == 5


def test_without_a_number_it_is_said_of_every_item() -> None:
    assert [each.n for each in found("- baseline")] == [1, 2]
    with pytest.raises(Refused, match="assessment_final"):
        found("1 baseline", "- national")


def test_an_offer_is_closed_once_nothing_is_left_to_do_about_any_item() -> None:
    said = ("1 baseline", "1 reported_to_police", "2 not_illegal other")
    assert fold_offer(NUMBERS, found(*said)).items == "in_part"
    assert fold_offer(NUMBERS, found(*said, "1 removed")).items == "closed"


def test_the_origin_refuses_what_the_hotline_should_not_have_said() -> None:
    told = AssessedItem.model_validate({"n": 1, "assessment": "national"})
    check([told], NUMBERS, ())
    with pytest.raises(Refused, match="assessment_final"):
        check([told], NUMBERS, found("1 baseline"))
    with pytest.raises(Refused, match="item_action_repeated"):
        check([told, told], NUMBERS, ())


def test_what_was_found_adds_up_and_nothing_is_overwritten() -> None:
    first, both = found("1 national"), found("1 national", "2 baseline")
    assert found_in(folded(kept(first), kept(both[1:]))) == both
