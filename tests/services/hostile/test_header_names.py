"""A header name that is not UTF-8. Kafka stores it; aiokafka fails on it and would stop the whole consumer."""

from __future__ import annotations

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from shared.platform.kafka.reader import TolerantRecords

GOOD = [("ce_id", b"1"), ("é", None), ("empty", b"")]


class RawName(str):
    """A header name that encodes to bytes that are not UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"ce_\xff\xfe"


def batch_of(*headers: list[tuple[str, bytes | None]], codec: int = 0) -> bytes:
    """Return a record batch as a broker stores it, with one record for each list of headers."""
    builder = _DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, 0, 100_000)
    for offset, each in enumerate(headers):
        builder.append(offset, None, b"key", b"value", each)
    return bytes(builder.build())


def read(data: bytes, records_type: type = TolerantRecords) -> list[list[tuple[str, bytes | None]]]:
    records = records_type(data)
    found = []
    while records.has_next():
        found += [list(record.headers) for record in records.next_batch()]
    return found


def test_a_name_that_is_not_utf_8_is_read_with_escapes_and_its_neighbours_as_they_are() -> None:
    assert read(batch_of(GOOD, [(RawName("x"), b"1")], GOOD)) == [GOOD, [("ce_\\xff\\xfe", b"1")], GOOD]


def test_the_library_itself_fails_on_it() -> None:
    with pytest.raises(UnicodeDecodeError):
        read(batch_of([(RawName("x"), b"1")]), MemoryRecords)


def test_a_compressed_batch_is_one_empty_record_at_its_last_offset() -> None:
    [record] = TolerantRecords(batch_of(*[GOOD] * 30, codec=DefaultRecordBatch.CODEC_GZIP)).next_batch()
    assert (record.offset, record.key, record.value, record.headers) == (29, None, None, [])


def test_batches_without_such_a_name_are_read_as_the_library_reads_them() -> None:
    data = batch_of(GOOD, []) + batch_of(GOOD)
    assert read(data) == read(data, MemoryRecords) == [GOOD, [], GOOD]


def test_a_batch_tells_about_itself_what_the_library_tells() -> None:
    data = batch_of(GOOD, GOOD)
    ours, theirs = TolerantRecords(data), MemoryRecords(data)
    assert ours.size_in_bytes() == theirs.size_in_bytes()
    batch, same = ours.next_batch(), theirs.next_batch()
    assert same is not None
    for name in ("next_offset", "base_offset", "is_control_batch", "is_transactional", "producer_id"):
        assert getattr(batch, name) == getattr(same, name)
    assert batch.validate_crc()
