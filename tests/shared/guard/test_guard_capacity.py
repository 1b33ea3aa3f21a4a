"""L4: how many bytes of anything a record could carry."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.referral import ReferralSubmission
from shared.guard import ALL_STAGES, capacity, inspect
from shared.guard.capacity import RECORD_BYTES_MAX, STORAGE_SERVICES, _bits, _bits_at_most
from shared.guard.leaves import leaves
from shared.guard.parts import split
from shared.guard.tokens import _FEW_RUNS, _RUN, is_word, measure
from tests.guard_report.encodings import b64u
from tests.guard_report.keyed import fullest_record
from tests.guard_report.legitimate import submissions
from tests.shared.guard.records import located, record, refusal

RANDOM = Random(5)


def code(size: int) -> str:
    """Random bytes as base64url, without what could pass as separators."""
    return b64u(RANDOM.randbytes(size)).replace("-", "x").replace("_", "y")


@pytest.mark.parametrize(
    ("url", "budget"),
    [
        (f"https://site.example/{code(40)}", "path_value"),
        ("https://site.example/" + "/".join(code(24) for _ in range(4)), "path_address"),
        (f"https://site.example/?q={code(40)}", "value_value"),
        ("https://site.example/?" + "&".join(f"a{n}={code(25)}" for n in range(5)), "value_address"),
        (f"https://site.example/?token={code(150)}", "credential_value"),
        (f"https://site.example/#{code(66)}", "fragment_value"),
        (f"https://{code(30).lower()}.site.example/", "host_value"),
        (f"https://site.example/?{code(25)}=1", "name_value"),
        ("https://site.example/?q=" + "+".join(["word"] * 31), "words_value"),
    ],
)
def test_a_value_with_room_for_a_file_is_refused(url: str, budget: str) -> None:
    assert refusal(located(url)) == (f"guard_capacity_{budget}", "/items/0/locator/value")


def test_small_codes_in_many_items_are_refused_together() -> None:
    urls = [f"https://site.example/{code(24)}/{code(24)}" for _ in range(10)]
    inspect(located(*urls[:6]))
    assert refusal(located(*urls))[0] == "guard_capacity_path_record"


def test_an_address_inside_an_address_has_the_budgets_of_an_address() -> None:
    inner = f"https%3A%2F%2Fsite.example%2F{code(24)}%2Fphoto.jpg"
    inspect(located(f"https://out.example/go?url={inner}"))
    longer = f"https%3A%2F%2Fsite.example%2F{code(48)}"
    assert refusal(located(f"https://out.example/go?url={longer}"))[0] == "guard_capacity_path_value"


def test_text_of_all_kinds_has_a_budget_together() -> None:
    urls = [f"https://site.example/{code(24)}?v={code(24)}#{code(20)}" for _ in range(10)]
    inspect(located(*urls[:7]))
    assert refusal(located(*urls), frozenset({"capacity"})) == ("guard_capacity_text_record", "")


def test_a_code_that_comes_again_counts_once_in_the_record() -> None:
    same, name = code(30), code(16)
    inspect(located(*(f"https://site.example/{same}/{name}?n={n}" for n in range(10))))


def test_references_have_a_budget_together() -> None:
    references = [{"system": "other", "ref": RANDOM.randbytes(20).hex()} for _ in range(5)]
    inspect(record(correlation=references[:3]))
    assert refusal(record(correlation=references))[0] == "guard_capacity_reference_record"


@pytest.mark.parametrize(
    "url",
    [
        f"https://ipfs.example/ipfs/bafybei{'a2b3c4d5' * 6}efgh",
        f"https://s3.example/f?X-Amz-Security-Token=IQoJb3JpZ2luX2Vj{code(600)}&X-Amz-Date=20260111T101112Z",
        f"https://photos.{STORAGE_SERVICES[0]}/pw/AP1Gcz{code(110)}=w1280",
        f"https://cdn.example/f.mp4?Signature={code(256)}&Key-Pair-Id=K1",
    ],
)
def test_long_codes_of_known_form_are_accepted(url: str) -> None:
    inspect(located(url))


def test_no_record_that_is_accepted_has_more_room_than_the_budget() -> None:
    carried, body = fullest_record(Random(1))
    room = capacity(ReferralSubmission.model_validate(body)).record_bytes
    assert 0.9 * RECORD_BYTES_MAX < carried <= room <= RECORD_BYTES_MAX <= 4_096


def test_without_this_stage_a_record_carries_far_more() -> None:
    tokens = [code(600) for _ in range(10)]
    stuffed = located(*(f"https://site.example/?x-amz-security-token={token}" for token in tokens))
    assert refusal(stuffed)[0] == "guard_capacity_long_credential_record"
    assert capacity(stuffed).record_bytes > RECORD_BYTES_MAX
    inspect(stuffed, stages=ALL_STAGES - {"capacity"})


@pytest.mark.parametrize(
    "words",
    [
        "holiday-garden",
        "wetter-galerie",
        "Zdjęcia-łódź",
        "fotografii-iarna",
        "Это-пример",
        "東京都の写真",
        "서울특별시",
    ],
)
def test_words_of_written_languages_are_not_opaque(words: str) -> None:
    assert measure(words).opaque_bits == 0


@given(st.binary(min_size=24, max_size=48))
@settings(max_examples=100, deadline=None)
def test_random_bytes_in_base64_are_measured_nearly_in_full(data: bytes) -> None:
    if len(set(data)) > 16:
        assert measure(b64u(data)).capacity_bits > 8 * len(data) * 0.6


def test_letters_at_random_rarely_pass_as_a_word() -> None:
    letters = Random(3)
    words = ["".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=12)) for _ in range(1_000)]
    assert sum(map(is_word, words)) < 60


@given(st.text("aZ09", min_size=2, max_size=9).filter(lambda piece: not piece.isalpha() and not piece.isdigit()))
def test_few_runs_of_letters_and_digits_are_at_most_three(piece: str) -> None:
    assert bool(_FEW_RUNS.fullmatch(piece)) == (len(_RUN.findall(piece)) <= 3)


def test_no_record_has_more_room_than_the_quick_sum_says() -> None:
    for body in (fullest_record(Random(1))[1], *submissions(60, seed=5)):
        texts = split(*leaves(ReferralSubmission.model_validate(body)))
        assert capacity(ReferralSubmission.model_validate(body)).record_bytes == pytest.approx(_bits(texts) / 8)
        assert _bits_at_most(texts) > _bits(texts)
