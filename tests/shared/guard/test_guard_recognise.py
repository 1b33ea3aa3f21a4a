"""L3: whether a value, or several together, decode to a file."""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.guard import ALL_STAGES, Stage, inspect
from shared.guard.decodings import heads, whole
from shared.guard.disguises import begins_in_disguise
from shared.guard.signatures import (
    SIGNATURES,
    find_content,
    find_content_in_any,
    inflated,
    inflated_raw,
    may_hold_content,
)
from shared.guard.structure import is_structured
from tests.guard_report.attempts import STAGES, as_bytes
from tests.guard_report.attempts import refusal as code_of
from tests.guard_report.encodings import ENCODINGS, b64u
from tests.guard_report.payloads import payloads
from tests.guard_report.positions import POSITIONS
from tests.shared.guard.records import located, record, refusal

PAYLOADS = payloads()
RECOGNISE: frozenset[Stage] = frozenset({"recognise"})
PICTURE = PAYLOADS["png_solid"]


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_file_is_recognised_as_it_is_and_behind_junk(name: str) -> None:
    payload = PAYLOADS[name]
    assert find_content(payload) or inflated(payload)
    if name not in ("mp3", "bmp", "icon", "tar_gzip", "tiff", "heic", "jpeg_without_start"):
        assert find_content(b"7 bytes" + payload)


def test_random_bytes_are_not_taken_for_a_file() -> None:
    r = Random(11)
    assert not any(find_content(r.randbytes(300)) for _ in range(5_000))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_picture_in_a_known_encoding_is_refused_in_a_query(encoding: str) -> None:
    placed = POSITIONS["URL query token"](ENCODINGS[encoding](PICTURE))
    assert code_of(as_bytes(placed.body)) is not None


#: Known encodings that budgets and rules alone would let through, in a parameter whose name promises a token.
BY_RECOGNITION = (
    "base64url",
    "base64 reversed",
    "base64 rot13",
    "base64 swapped case",
    "base64 groups of four reversed",
    "base64 twice",
    "zlib base64",
    "raw deflate base64",
    "base58",
    "base58 Ripple",
    "base62",
)


@pytest.mark.parametrize("encoding", BY_RECOGNITION)
def test_it_is_recognition_that_refuses(encoding: str) -> None:
    payload = PAYLOADS["gif_pixel"] * 2
    body = as_bytes(POSITIONS["URL query token"](ENCODINGS[encoding](payload)).body)
    assert (code_of(body) or "").startswith("guard_recognise_")
    assert code_of(body, STAGES - {"recognise"}) is None


def test_a_picture_cut_over_the_segments_of_a_path_is_refused() -> None:
    text = b64u(PICTURE)
    url = "https://site.example/" + "/".join(text[at : at + 24] for at in range(0, len(text), 24))
    assert refusal(located(url), RECOGNISE) == ("guard_recognise_content", "/items/0/locator/value")


def test_a_picture_cut_over_the_addresses_of_ten_items_is_refused() -> None:
    text = b64u(PICTURE)
    urls = [f"https://site.example/i/{text[at : at + 18]}.jpg" for at in range(0, len(text), 18)][:10]
    assert refusal(located(*urls), RECOGNISE)[0] == "guard_recognise_content"


def test_a_picture_cut_over_references_is_refused() -> None:
    text = b64u(PICTURE).replace("-", "x").replace("_", "x")
    references = [{"system": "other", "ref": text[at : at + 20]} for at in range(0, 140, 20)]
    assert refusal(record(correlation=references), RECOGNISE)[0] == "guard_recognise_content"


@pytest.mark.parametrize("order", ["by item", "by kind"])
def test_a_picture_cut_over_digests_is_refused(order: str) -> None:
    chunks = [PICTURE[at : at + 32].ljust(32, b"\x00").hex() for at in range(0, 96, 32)]
    kinds = ["sha256", "pdq", "tmk_pdqf"]
    if order == "by item":
        hashes = [dict(zip(kinds, chunks, strict=True))]
    else:
        hashes = [{"md5": "0123456789abcdef" * 2, "sha256": chunk} for chunk in chunks]
    items = [{"locator": {"kind": "url", "value": "https://site.example/"}, "hashes": h} for h in hashes]
    assert refusal(record(items=items), RECOGNISE)[0] == "guard_recognise_content"


def test_random_digests_are_accepted() -> None:
    r = Random(5)
    photodna = base64.b64encode(r.randbytes(144)).decode()
    hashes = {
        "md5": r.randbytes(16).hex(),
        "sha1": r.randbytes(20).hex(),
        "sha256": r.randbytes(32).hex(),
        "photodna": photodna,
    }
    inspect(record(items=[{"locator": {"kind": "url", "value": "https://site.example/"}, "hashes": hashes}] * 5))


def test_a_stream_without_header_is_recognised_only_if_it_holds_a_file() -> None:
    deflated = ENCODINGS["raw deflate base64"](PICTURE)
    held = inflated_raw(base64.urlsafe_b64decode(deflated + "=="))
    assert held == PICTURE
    assert refusal(located(f"https://site.example/?token={deflated}"), RECOGNISE)[0] == "guard_recognise_content"


def test_digits_that_follow_a_pattern_are_told_from_random_ones() -> None:
    r = Random(3)
    shuffled = bytes(r.sample(range(256), 256))
    substituted = bytes(shuffled[byte] for byte in PAYLOADS["bmp"][:54] * 3)
    assert is_structured(b64u(substituted).encode())
    assert not any(is_structured(b64u(r.randbytes(200)).encode()) for _ in range(300))


@pytest.mark.parametrize("payload", ["gif_pixel", "pdf", "zip"])
def test_one_key_byte_over_all_bytes_does_not_hide_a_file(payload: str) -> None:
    keyed = bytes(byte ^ 0x5A for byte in PAYLOADS[payload])
    assert refusal(located(f"https://site.example/?token={b64u(keyed)}"), RECOGNISE)[0].startswith("guard_recognise_")


TURNS: dict[str, Callable[[int], int]] = {
    "inverted": lambda byte: byte ^ 0xFF,
    "shifted": lambda byte: byte + 77 & 0xFF,
    "rotated": lambda byte: (byte << 3 | byte >> 5) & 0xFF,
    "bits backwards": lambda byte: int(f"{byte:08b}"[::-1], 2),
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_file_whose_bytes_were_all_changed_alike_is_recognised(turn: str) -> None:
    changed = bytes(map(TURNS[turn], PICTURE))
    assert begins_in_disguise(changed)
    assert refusal(located(f"https://site.example/?token={b64u(changed)}"), RECOGNISE)[0].startswith("guard_recognise_")


def test_random_bytes_are_hardly_ever_taken_for_a_disguise() -> None:
    r = Random(12)
    assert sum(begins_in_disguise(r.randbytes(60)) for _ in range(20_000)) <= 2


def test_a_code_cut_over_items_shows_by_its_last_piece_whatever_it_says() -> None:
    text = Random(8).randbytes(70).hex()
    pieces = [text[at : at + 30] for at in range(0, len(text), 30)]
    urls = [f"https://site.example/?v={piece}" for piece in pieces]
    assert refusal(located(*urls), RECOGNISE) == ("guard_recognise_cut", "/items/0/locator/value")
    inspect(located(*urls[:4]), stages=RECOGNISE)  # all of one size, as identifiers are
    inspect(located(*urls[2:]), stages=RECOGNISE)  # two and a shorter one may be three identifiers


def test_a_picture_cut_small_over_values_of_all_kinds_is_refused() -> None:
    text = b64u(PAYLOADS["png_noise"]).replace("-", "x").replace("_", "x")
    pieces = iter([text[at : at + 20] for at in range(0, 240, 20)])
    urls = [f"https://site.example/{next(pieces)}?v={next(pieces)}#{next(pieces)}" for _ in range(4)]
    assert refusal(located(*urls), RECOGNISE)[0] == "guard_recognise_content"


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_decoding_never_fails_on_any_text(text: str) -> None:
    data = text.encode("ascii", "ignore")
    assert all(isinstance(decoded, bytes) for decoded in (*whole(data), *heads(data)))


def test_the_stage_is_what_refuses() -> None:
    submission = located(f"https://site.example/?token={b64u(PICTURE)[:150]}")
    assert refusal(submission)[0] == "guard_recognise_content"
    inspect(submission, stages=ALL_STAGES - {"recognise"})


_heads = st.sampled_from(
    [*SIGNATURES, *PAYLOADS.values(), b"data:image/png;", b"<svg ", b"P3 8 8 8 8", b"\x18ftypisom"]
)
_texts = st.one_of(
    st.builds(
        lambda before, head, after: before + head[:40] + after, st.binary(max_size=3), _heads, st.binary(max_size=30)
    ),
    st.builds(lambda head, after: head[:9] + after, _heads, st.text("abcXYZ019-./ ", max_size=30).map(str.encode)),
    st.text("abPNGIF89<sv %-.", max_size=40).map(str.encode),
)


@given(st.lists(_texts, max_size=5))
@settings(max_examples=300, deadline=None)
def test_a_file_among_several_texts_is_found_as_in_each_of_them(several: list[bytes]) -> None:
    found = any(map(find_content, several))
    assert find_content_in_any(several) == found
    assert may_hold_content([data.decode("utf-8", "surrogateescape") for data in several]) or not found


def test_ordinary_texts_are_looked_through_once() -> None:
    assert not may_hold_content(["holiday-garden", "Zdjecia", "q7Xz9LmP2kVb8RtY", "mail.example"])
