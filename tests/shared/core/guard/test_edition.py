"""The guard's editions: each has its own name and fixed file digests, and two editions can be read at once."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import islice
from pathlib import Path

import pytest

from shared.core.envelope.attributes import SPELLINGS
from shared.core.errors import Refused
from shared.core.guard import as_kept, cost, edition, files
from shared.core.guard.charge import BYTE, coded
from shared.core.guard.edition import EDITIONS, GuardVersion, _checked, check_files, known, own, passed
from shared.core.guard.inspect import inspect
from shared.core.guard.url_redaction import kept
from shared.instance.machinery import build_machinery
from shared.instance.settings import RuntimeSettings
from tests.guard_report.legitimate import submissions
from tests.shared.core.guard.records import located, record
from tests.support.editions import LATER, copied_data, with_later

FILES = sorted(path.name for path in Path(str(files.FOLDER)).iterdir() if path.is_file())


def test_an_edition_is_named_by_its_form_and_the_digests_of_its_files() -> None:
    one = EDITIONS[0]
    digests = [hashlib.sha256(Path(str(files.FOLDER), name).read_bytes()).hexdigest() for name in FILES]
    told = f"canonical 1\nmodel {digests[0]}\ntemplates {digests[1]}\n"
    assert FILES == ["charge-1.model", "templates-1.json"]
    assert one.name == hashlib.sha256(told.encode()).hexdigest()[:32]
    assert known() == {one.name: one}
    assert edition() == own().name


def test_what_a_message_states_is_a_header() -> None:
    assert re.fullmatch(SPELLINGS["ce_guard"], passed())


@pytest.mark.parametrize("name", FILES)
async def test_a_file_altered_in_one_byte_is_not_used_and_no_service_is_built(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = copied_data(monkeypatch, tmp_path) / name
    check_files()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    _checked.cache_clear()
    for ask in (check_files, edition, known, passed):
        with pytest.raises(ValueError, match="not the one of its edition"):
            ask()
    with pytest.raises(ValueError, match="not the one of its edition"):
        await build_machinery("hotline", RuntimeSettings.model_construct())


def test_both_are_read_and_today_s_is_the_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = own()
    with_later(monkeypatch, tmp_path)
    assert known() == {first.name: first, LATER.name: LATER}
    assert edition() == LATER.name != first.name


def test_each_edition_spells_cuts_and_charges_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = own()
    with_later(monkeypatch, tmp_path)
    address = "https://later.example/a?sig=1#here"
    assert kept(address, edition=first) == (address, ())
    assert kept(address, edition=LATER) == ("https://later.example/a", ("later",))
    assert coded(address, "url", LATER.shipped()).charge > 1.5 * coded(address, "url", first.shipped()).charge
    before = located(address)
    inspect(before, edition=first)
    with pytest.raises(Refused, match="guard_rules_not_canonical"):
        inspect(before, edition=LATER)
    assert [item.locator.value for item in as_kept(before).items] == ["https://later.example/a"]


def test_a_record_is_within_the_budget_of_the_edition_that_it_was_sent_under(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, dear = own(), located("https://site.example/" + "holiday-in-the-garden/" * 30)
    spent = cost(dear).field
    assert 160 * BYTE < spent <= 320 * BYTE
    with_later(monkeypatch, tmp_path)
    inspect(dear, edition=first)
    with pytest.raises(Refused, match="guard_over_budget"):
        inspect(dear)


#: For each edition: a digest of the results of its form, rules, walk, model and templates for many records. A changed
#: result is a new edition with its own digest. Never change an existing entry.
OUTCOMES = {EDITIONS[0]: "6ab6f1c63006372d40d3b9b0c774325400f476815529a62fd2c83d762d453d32"}


@pytest.mark.parametrize("one", EDITIONS)
def test_what_an_edition_says_of_a_text_never_changes(one: GuardVersion) -> None:
    told = []
    for body in islice(submissions(150, 20260111), 150):
        for item in record(**body).items:
            if item.locator.kind in ("url", "onion"):
                text, rules = kept(item.locator.value, item.locator.kind, one)
                told.append([text, rules, coded(text, item.locator.kind, one.shipped()).charge])
    assert hashlib.sha256(json.dumps(told).encode()).hexdigest() == OUTCOMES[one]
