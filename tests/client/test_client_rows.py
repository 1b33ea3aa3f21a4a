from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.cli.rows import ImportRow, RowFile
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.formats.referral_table import ASIDE, COLUMNS, column_at
from tests.client.fake_service import referral

CANARY = "canary-7f3a"
HEADER = "external_ref,incident_kind,observed_at,media_kind,locator_kind,locator,hosting_asn,user_jurisdictions"
GOOD = "CASE-1,csam,2026-03-15T12:00:00Z,image,url,https://provider-007.example/a,64496,NL;DE"


def rows(tmp_path: Path, name: str, text: str | bytes, *, origin: str | None = None) -> list[ImportRow]:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [*RowFile(path).rows(origin)]


def codes(found: list[ImportRow]) -> list[tuple[int, str | None]]:
    return [(row.number, row.error.code if row.error else None) for row in found]


def test_a_full_csv_row_is_a_valid_submission(tmp_path: Path) -> None:
    said = (
        "external_ref=CASE-1|exercise=TRUE|incident_kind=csam|incident_flags=viral; spam|"
        "observed_at=2026-03-15T12:00:00Z|media_kind=image|viewed_by=human|priority=p1_urgent|"
        "priority_basis=new_material|actionable=incomplete|missing=hash;time|locator_kind=url|"
        "locator=https://provider-007.example/a,b|uncut=true|site_type=forum|commerciality=commercial|"
        "hosting_jurisdiction=NL|hosting_asn=64496|hosting_provider=provider-007.example|hosting_is_cdn=false|"
        "hosting_method=stated|hosting_observed_on=2026-03-15|"
        "assessment_scheme=iwf|assessment_value=A|assessment_jurisdiction=GB|assessment_status=final|"
        "user_jurisdictions=NL;US-CA|victim_jurisdictions=DE|correlation_system=iwf|correlation_ref=R-1|"
    )
    cells = dict(cell.split("=") for cell in said.rstrip("|").split("|"))
    cells |= {"md5": "0" * 32, "sha1": "1" * 40, "sha256": "2" * 64, "pdq": "3" * 64, "photodna": "A" * 192}
    cells["tmk_pdqf"] = "4" * 64
    assert cells.keys() == COLUMNS.keys()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(cells))
    writer.writeheader()
    writer.writerow(cells)
    (row,) = rows(tmp_path, "a.csv", text.getvalue())
    assert row.referral is not None
    read = ReferralSubmission.model_validate(row.referral)
    assert (read.items[0].hosting[0].asn, read.items[0].uncut) == (64496, True)
    assert [flag.value for flag in read.incident_flags] == ["viral", "spam"]
    assert len(read.model_dump(exclude_defaults=True)["items"]) == 1


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(("ending", "mark"), [("\n", b""), ("\r\n", b"\xef\xbb\xbf")])
def test_what_spreadsheets_write_is_read(tmp_path: Path, separator: str, ending: str, mark: bytes) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=ending)
    writer.writerows([HEADER.split(","), GOOD.split(",")])
    (row,) = rows(tmp_path, "a.csv", mark + text.getvalue().encode())
    assert row.number == 2
    assert row.referral is not None
    assert row.referral["user_jurisdictions"] == ["NL", "DE"]


@pytest.mark.parametrize(
    ("header", "code", "field"),
    [
        (HEADER + "," + CANARY, "column_unknown", "/columns/9"),
        (HEADER + ",locator", "column_repeated", "/columns/9"),
        ("", "columns_missing", "/columns"),
        (",", "column_unknown", "/columns/1"),
        (HEADER + ',"open', "csv_unreadable", None),
    ],
)
def test_a_first_line_that_would_lose_data_is_refused_by_position(
    tmp_path: Path, header: str, code: str, field: str | None
) -> None:
    with pytest.raises(Refused) as raised:
        rows(tmp_path, "a.csv", f"{header}\n{GOOD}\n")
    assert (raised.value.code, raised.value.field) == (code, field)
    assert CANARY not in str(raised.value)


def test_the_page_lists_the_columns() -> None:
    listed = re.findall(r"^\| (`.*?) \|", Path("docs/csv.md").read_text(), re.MULTILINE)
    assert sorted(re.findall("`([a-z0-9_]+)`", " ".join(listed))) == sorted({*COLUMNS, *ASIDE})


LINES = {
    "a.csv": [HEADER, GOOD, GOOD.replace("CASE-1", "CASE-3")],
    "a.jsonl": [json.dumps(referral(n)) for n in (1, 2, 4)],
}


@pytest.mark.parametrize(
    ("name", "line", "code"),
    [
        ("a.csv", GOOD + ',"', "csv_unreadable"),
        ("a.csv", GOOD.replace("csam", '"csam'), "csv_unreadable"),
        ("a.csv", GOOD.replace("csam", '"cs"am'), "csv_unreadable"),
        ("a.csv", GOOD.replace("csam", "x" * 200_000), "csv_unreadable"),
        ("a.csv", GOOD.replace("CASE-1", "CASÉ").encode("latin-1"), "not_utf8"),
        ("a.csv", GOOD + ",more", "cells_do_not_match_columns"),
        ("a.csv", "CASE-1", "cells_do_not_match_columns"),
        ("a.csv", GOOD.replace("64496", "AS64496"), "cell_not_integer"),
        ("a.csv", GOOD.replace("64496", "٣"), "cell_not_integer"),
        ("a.csv", GOOD.replace("64496", "9" * 5000), "cell_not_integer"),
        ("a.jsonl", "{", "body_not_json"),
        ("a.jsonl", "[]", "body_not_object"),
        ("a.jsonl", '{"a":1,"a":2}', "body_key_repeated"),
        ("a.jsonl", '{"a":1.5}', "body_number_not_integer"),
        ("a.jsonl", '{"a":NaN}', "body_number_not_integer"),
        ("a.jsonl", '{"a":' + "[" * 5000, "body_too_deep"),
        ("a.jsonl", '{"origin":"h.example","referral":{},"more":1}', "row_malformed"),
        ("a.jsonl", '{"origin":1,"referral":{}}', "row_malformed"),
        ("a.jsonl", '{"referral":[]}', "row_malformed"),
        # A second row with one reference would be lost, and one that names an origin sent as somebody else's.
        ("a.jsonl", json.dumps(referral(1)), "external_ref_repeated"),
        ("a.jsonl", json.dumps({"origin": "a.example", "label": None, "referral": referral(3)}), "origin_not_chosen"),
    ],
)
def test_a_bad_line_spoils_its_own_row_and_no_other(tmp_path: Path, name: str, line: str | bytes, code: str) -> None:
    first, second, last = (each.encode() for each in LINES[name])
    found = rows(
        tmp_path, name, b"\n".join([first, second, line if isinstance(line, bytes) else line.encode(), b"", last])
    )
    assert codes(found) == [(1, None)] * (name == "a.jsonl") + [(2, None), (3, code), (5, None)]


def wrapped(number: int, origin: str) -> str:
    return json.dumps({"origin": origin, "label": None, "referral": referral(number)})


def test_a_csv_may_name_origins_too(tmp_path: Path) -> None:
    text = f"{HEADER},origin,label\n{GOOD},a.example,x\n{GOOD.replace('CASE-1', 'CASE-2')},b.example,\n"
    assert codes(rows(tmp_path, "a.csv", text, origin="b.example")) == [(3, None)]


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.txt"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="file_format_unknown"):
        rows(tmp_path, name, "{}")


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".csv"])
def test_a_file_without_a_row_is_no_import_of_none(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"rows{ending}"
    file.write_bytes(b"\xef\xbb\xbf \n\n")
    with pytest.raises(Refused, match="file_empty"):
        RowFile(file)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["csv", "jsonl", "json"]))
def test_any_bytes_are_rows_or_coded_errors_and_never_a_crash(tmp_path_factory: Any, data: bytes, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    path.write_bytes(HEADER.encode() + b"\n" + data if suffix == "csv" else data)
    try:
        found = [*RowFile(path).rows()]
    except Refused as error:
        assert (error.code, data.removeprefix(b"\xef\xbb\xbf").strip()) == ("file_empty", b"")
        return
    numbers = [row.number for row in found]
    assert numbers == sorted(set(numbers))
    assert all((row.error is None) != (row.referral is None) for row in found)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=50, deadline=None)
@given(st.lists(CELL, min_size=2, max_size=2), st.sampled_from([",", ";", "\t"]))
def test_any_text_without_line_breaks_comes_through_a_csv_unchanged(
    tmp_path_factory: Any, cells: list[str], separator: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerows([["locator", "external_ref"], cells])
    path = tmp_path_factory.getbasetemp() / "text.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    found = [*RowFile(path).rows()]
    said = [cell.strip() for cell in cells]
    if not "".join(cells).strip():
        return
    (row,) = found
    assert row.referral is not None
    assert row.referral.get("external_ref", "") == said[1]
    assert (row.referral["items"][0]["locator"]["value"] if said[0] else "") == said[0]


@pytest.mark.parametrize(
    ("pointer", "column"),
    [
        ("/items/0/locator/value", "locator"),
        ("/items/0/locator", "locator_kind"),
        ("/items/0/hashes/md5", "md5"),
        ("/user_jurisdictions/3", "user_jurisdictions"),
        ("/items/0/locator/url/value", "locator"),
        ("/items/7/locator", None),
        ("", None),
        (None, None),
    ],
)
def test_a_pointer_leads_back_to_its_column(pointer: str | None, column: str | None) -> None:
    assert column_at(pointer) == column
