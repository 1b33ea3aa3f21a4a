"""Records of a release can be read for ever: unchanged, proven by the same keys, and refused after any alteration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import pytest
from pydantic import Field, create_model

from shared.catalog import CATALOG
from shared.core.contracts.decision import Edge
from shared.core.contracts.directory import SignedBeat
from shared.core.contracts.referral import EdgeSealed
from shared.core.contracts.registry import MessageType
from shared.core.errors import Refused
from shared.core.evidence import check_evidence, read_evidence
from shared.core.guard.edition import EDITIONS, own
from shared.core.protocol import read_capabilities
from shared.core.protocol.acceptance import check_acceptance, read_acceptance
from shared.core.routing.documents import read_directory, verify_beat, verify_document
from shared.core.routing.engine import ENGINE
from shared.core.vocabulary.edition import codes_of_editions, editions
from shared.platform.kafka.documents import read_document
from tests.contracts.at_rest import expected, opened
from tests.contracts.charges import charges
from tests.contracts.golden import (
    GOLDEN,
    approver_keys,
    at_rest_of,
    audited,
    installation,
    reads,
    record_file,
    tree_digest,
    write_missing,
)
from tests.contracts.golden_record import Golden
from tests.contracts.published import read
from tests.support.exchange_world import World

#: A member of a later release, which its writers may leave out.
REMARK: Final[Any] = (Annotated[int, Field(ge=1, le=9)] | None, None)
RECORDS = sorted((GOLDEN / "records").glob("*.json"))


@pytest.fixture(scope="module")
def here() -> World:
    return installation()


def test_each_message_that_is_sent_has_a_golden_record() -> None:
    assert {record_file(message) for message in CATALOG.messages} <= set(RECORDS)


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: file.stem)
def test_a_golden_record_is_read_as_it_was(here: World, file: Path) -> None:
    golden = Golden.load(file)
    assert golden.text() == file.read_bytes()
    assert reads(here, golden.record(here)) == golden.reads
    assert audited(here, golden.observed(here)) == golden.audited
    assert golden.audited["problem"] is None


@cache
def later_messages() -> tuple[MessageType, ...]:
    """Return the next version of each message. It takes seconds, so it is made once."""
    edge = create_model("LaterEdge", __base__=Edge, remark=REMARK)
    return tuple(replace(each, version=2, **_grown(each, edge)) for each in CATALOG.messages)


def _grown(message: MessageType, edge: type[Edge]) -> dict[str, Any]:
    """Return the parts of a message's next version."""
    more: dict[str, Any] = {"remark": REMARK}
    clear, sealed = create_model("LaterClear", __base__=message.clear, **more), message.sealed
    if sealed is not None:
        more |= {"edge": (edge, ...)} if issubclass(sealed, EdgeSealed) else {}
        sealed = create_model("LaterSealed", __base__=sealed, **more)
    return {"clear": clear, "sealed": sealed}


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: file.stem)
def test_a_later_release_finds_the_same_content_in_it(here: World, file: Path) -> None:
    """Otherwise a repeat of an edge or act that an older release has accepted would count as different content."""
    golden = Golden.load(file)
    later = here.later(*later_messages())
    found = reads(later, golden.record(here))
    assert (found and found["content"]) == (golden.reads and golden.reads["content"])
    if found and found["content"]:
        assert later.catalog.newest(found["message"]).version == 2


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: file.stem)
def test_an_altered_golden_record_is_not(here: World, file: Path) -> None:
    golden = Golden.load(file)
    altered = golden.with_value(golden.written.record.value.replace(b":", b": ", 1))
    assert audited(here, altered.observed(here))["problem"] == "signature_invalid"
    with pytest.raises(Refused, match="signature_invalid"):
        altered.record(here)


@pytest.mark.parametrize("kind", ["directory", "policy"])
def test_a_golden_document_is_approved(here: World, kind: str) -> None:
    activated, body = read_document((GOLDEN / f"published_{kind}.json").read_bytes())
    verify_document(activated, body, approver_keys(here))
    assert body == (GOLDEN / f"{kind}.json").read_bytes()
    with pytest.raises(Refused, match="document_digest_mismatched"):
        verify_document(activated, body + b" ", approver_keys(here))


def test_a_golden_beat_an_acceptance_and_evidence_hold(here: World) -> None:
    directory, late = read_directory((GOLDEN / "directory.json").read_bytes()), here.at + timedelta(days=400)
    beat = SignedBeat.model_validate_json((GOLDEN / "beat.json").read_bytes())
    verify_beat(beat, directory, late)
    acceptance = read_acceptance((GOLDEN / "acceptance.json").read_bytes())
    check_acceptance(acceptance, directory, at=late)
    [evidence] = read_evidence((GOLDEN / "evidence.json").read_bytes()).evidence
    check_evidence(evidence, directory)
    with pytest.raises(Refused, match="signature_invalid"):
        check_acceptance(acceptance.model_copy(update={"merge_delay_s": 61}), directory, at=late)


def test_bytes_at_rest_are_read_as_they_were(here: World) -> None:
    """Rows outlive the release that wrote them. Bytes that do not open, unpack or match are lost."""
    records = at_rest_of(here)
    assert opened(here, records, read(GOLDEN / "at_rest.json")) == expected(here, records)


def test_no_edition_of_the_vocabulary_changes() -> None:
    """Peers would be wrong about a code that was removed, or added without a new edition."""
    kept = [read(GOLDEN / "vocabulary" / f"{number}.json") for number in range(1, len(editions()) + 1)]
    assert [set(each["codes"]) for each in kept] == [set(codes) for codes in codes_of_editions()]
    assert [each["edition"] for each in kept] == list(editions())


def test_the_tree_of_jurisdictions_is_the_one_of_its_engine() -> None:
    """Recipients derive edges by their own tree. Another tree is another engine, which they know or wait for."""
    assert read(GOLDEN / "engines" / f"{ENGINE}.json") == {"tree": tree_digest()}


def test_an_edition_of_the_guard_charges_what_it_charged() -> None:
    """A sender was charged by the models of its edition. A change of the models must keep the edition's charges."""
    assert read(GOLDEN / "guards" / f"{len(EDITIONS)}.json") == {"edition": own().name, "charges": charges()}


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder without golden files, from which the code would read the first release's announcement."""
    monkeypatch.setattr(read_capabilities, "FIRST_READS", tmp_path / "first_reads.json")
    read_capabilities._first_reads.cache_clear()
    yield tmp_path
    read_capabilities._first_reads.cache_clear()


def test_what_is_missing_is_written_and_nothing_again(empty_folder: Path) -> None:
    written = write_missing(empty_folder)
    known = {file.relative_to(GOLDEN) for file in GOLDEN.rglob("*.json")}
    assert {file.relative_to(empty_folder) for file in written} == known | {Path("first_reads.json")}
    kept = {file: file.read_bytes() for file in written}
    gone = record_file(CATALOG.messages[0], empty_folder)
    gone.unlink()
    assert write_missing(empty_folder) == [gone]
    assert json.loads(gone.read_bytes())["audited"]["verified"]
    assert all(file.read_bytes() == text for file, text in kept.items() if file != gone)
