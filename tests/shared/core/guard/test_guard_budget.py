"""L4: the total information cost of a record, and its limit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from random import Random
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from shared.core.contracts.items import ITEMS_MAX
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.guard import as_kept, budget, cost, inspect, leaves
from shared.core.guard.budget import ADDED, BUDGET, HASH_COSTS
from shared.core.guard.charge import BIT, BYTE, ONE, choices, share
from tests.guard_report.channels import charge_of
from tests.guard_report.encodings import b64u
from tests.guard_report.keyed import fullest_record
from tests.shared.core.guard.records import located, record, refusal

R = Random(5)


def code(size: int) -> str:
    return b64u(R.randbytes(size))


class Left(BaseModel):
    kind: Literal["left"]
    side: Literal["a", "b", "c"]


class Right(BaseModel):
    kind: Literal["right"]
    flag: bool | None


class Small(BaseModel):
    """A record with one member of each closed sort, and a list of records of two sorts."""

    sort: Literal["a", "b", "c"]
    flag: bool | None
    number: Annotated[int, Field(ge=0, le=4)]
    several: Annotated[tuple[Literal["x", "y"], ...], Field(max_length=2)]
    parts: Annotated[tuple[Left | Right, ...], Field(max_length=2)]


def _lists(values: Sequence[object]) -> list[tuple[Any, ...]]:
    return [each for size in range(3) for each in itertools.product(values, repeat=size)]


def _shares() -> Fraction:
    """Return the sum of the code shares of all records of a small sort."""
    parts = [*(Left(kind="left", side=each) for each in "abc")]  # type: ignore[arg-type]
    parts += [*(Right(kind="right", flag=each) for each in (None, True, False))]  # type: ignore[list-item]
    every = itertools.product("abc", (None, True, False), range(5), _lists("xy"), _lists(parts))
    names = ("sort", "flag", "number", "several", "parts")
    records = (Small.model_construct(**dict(zip(names, each, strict=True))) for each in every)
    return sum((Fraction(share(cost(each).record), ONE) for each in records), Fraction(0))


def test_the_code_of_a_whole_record_has_no_word_that_begins_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kraft's inequality over all records. It is violated if one sort of choice is not charged."""
    assert Fraction(1, 8) < _shares() <= 1
    for unpriced in (lambda number: 0 if number == 3 else choices(number), lambda number: 0):
        leaves.plan.cache_clear()
        monkeypatch.setattr(leaves, "choices", unpriced)
        assert _shares() > 1
    leaves.plan.cache_clear()


def test_hashes_cost_their_size() -> None:
    digests = {"md5": "0" * 32, "sha1": "0" * 40, "sha256": "0" * 64, "pdq": "0" * 64, "photodna": "A" * 192}
    item = {"locator": {"kind": "url", "value": "https://site.example/"}, "hashes": digests | {"tmk_pdqf": "0" * 64}}
    spent = cost(record(items=[item]))
    assert spent.hashes == sum(HASH_COSTS.values()) == 276 * BYTE
    assert spent.record == cost(located("https://site.example/")).record + 6 * BIT


@pytest.mark.parametrize(
    ("urls", "refused", "where"),
    [
        ([f"https://site.example/{code(400)}"], "guard_over_budget", "/items/0/locator/value"),
        ([f"https://site.example/{code(700)}"], "guard_over_ceiling", "/items/0/locator/value"),
        ([f"https://site.example/{code(200)}"] * 8, "guard_over_budget", None),
        ([f"https://site.example/{code(260)}"] * 10, "guard_over_ceiling", None),
    ],
)
def test_what_could_carry_too_much_is_refused_with_field_rule_and_figure(
    urls: list[str], refused: str, where: str | None
) -> None:
    with pytest.raises(Refused, match="may cost") as caught:
        inspect(located(*urls))
    assert (caught.value.code, caught.value.field) == (refused, where)
    assert not any(url[30:40] in str(caught.value) for url in urls)


def test_charging_stops_once_a_record_is_over_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    coded = budget.coded
    monkeypatch.setattr(budget, "coded", lambda text, *other: (seen.append(text), coded(text, *other))[1])
    one, several = f"https://site.example/{code(700)}", [f"https://site.example/{code(500)}" for _ in range(10)]
    for urls, looked_at, where in (
        ([one, *several[1:]], 1, "/items/0/locator/value"),
        (several, 5, None),  # 2,560 bytes are exceeded with the fifth
    ):
        seen.clear()
        with pytest.raises(Refused, match="or more") as caught:
            inspect(located(*urls))
        assert (caught.value.code, caught.value.field) == ("guard_over_ceiling", where)
        assert sum(text.startswith("https://") for text in seen) == looked_at
    assert cost(located(*several)).record > 4_000 * BYTE


def test_names_words_labels_and_numbers_are_no_way_around() -> None:
    """A picture in a path, seven kilobytes in parameter names, and an image in labels used to be accepted."""
    names = "&".join(f"{code(12)}=1" for _ in range(36))
    labels = [{"scheme": "ucs", "value": code(16)[:20]} for _ in range(4)]
    places = [{"jurisdiction": "".join(R.choices("abcdefghij", k=24))} for _ in range(4)]
    item = {"locator": {"kind": "url", "value": "https://site.example/"}, "assessments": labels, "hosting": places}
    picture = "/".join(code(60) for _ in range(20))
    assert refusal(located(f"https://site.example/view?{names}"))[0].startswith("guard_over_")
    assert refusal(located(f"https://site.example/{picture}"))[0] == "guard_over_ceiling"
    assert refusal(record(items=[item] * 10))[0].startswith("guard_over_")


def test_no_record_carries_more_than_its_budget() -> None:
    fullest, body, _ = fullest_record(Random(2))
    assert fullest <= BUDGET.everything
    spent = cost(as_kept(ReferralSubmission.model_validate(body)))
    assert 8 * fullest <= (spent.record + spent.hashes) / BIT + 32
    assert spent.record <= BUDGET.record * BYTE
    without = fullest_record(Random(2), frozenset({"envelope", "schema"})).carried
    assert without > BUDGET.everything


def test_the_room_kept_at_ingress_is_enough_for_what_the_service_adds() -> None:
    """The service adds the numbers of ten items, the absence of a reference, and a notice's language."""
    numbers = ITEMS_MAX * choices(99)
    assert numbers + BIT + charge_of("en", "text") <= ADDED * BYTE


def test_at_ingress_less_may_be_filed_than_a_recipient_takes() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with pytest.raises(Refused, match="may cost 1520 bytes"):
        inspect(located(*[f"https://site.example/{code(200)}"] * 8), now=now)
