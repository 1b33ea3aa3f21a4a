"""The published tables that the sample set is drawn from. Sources and what each feeds: `tables/README.md`."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

from shared.vocabulary.jurisdiction import TREE

_TABLES = Path(__file__).with_name("tables")


class Share(NamedTuple):
    """One row of a table: a value, and how often it was counted."""

    value: str
    weight: float


class ProviderRow(NamedTuple):
    """One name of a provider: `stated_as` is its former name if the table counts it under that, else the party id."""

    rank: int
    party: str
    stated_as: str
    reports: int


@cache
def user_countries() -> tuple[Share, ...]:
    """Reports by the country of the reported user, 2023, most first. The value "" means no country listed."""
    rows = _rows("user_countries_2023")
    return tuple(Share(_alpha2(row["alpha3"]) if row["alpha3"] else "", int(row["reports"])) for row in rows)


@cache
def us_states() -> tuple[Share, ...]:
    """Reports by state of the reported user, 2023. The value `US` means that the state is not specified."""
    rows = _rows("us_states_2023")
    return tuple(
        Share("US" if row["state"] == "Unspecified" else f"US-{row['state']}", int(row["reports"])) for row in rows
    )


@cache
def providers() -> tuple[ProviderRow, ...]:
    """The 50 largest providers by reports filed in 2023; a provider that changed its name has two rows."""
    return tuple(
        ProviderRow(int(row["rank"]), row["party"], row["stated_as"] or row["party"], int(row["reports"]))
        for row in _rows("providers_2023")
    )


@cache
def hosting_countries() -> tuple[Share, ...]:
    """Confirmed addresses by hosting country, 2024, most first. The value "" stands for onion services."""
    return tuple(Share(row["alpha2"], int(row["urls"])) for row in _rows("hosting_countries_2024"))


@cache
def hotline_countries() -> tuple[str, ...]:
    """Countries whose hotline has an identifier in ICCAM, sorted."""
    return tuple(row["alpha2"] for row in _rows("hotlines_2024"))


@cache
def shares(table: str, value: str, count: str) -> tuple[Share, ...]:
    """Any other table as (value, count) rows, named by its two columns."""
    return tuple(Share(row[value], float(row[count])) for row in _rows(table))


@cache
def assumed(table: str) -> tuple[Share, ...]:
    """Return a table that was not published: the stated assumptions of `assumed.csv`, as shares of 1."""
    return tuple(Share(row["value"], float(row["share"])) for row in _rows("assumed") if row["table"] == table)


def _rows(table: str) -> list[dict[str, str]]:
    with (_TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _alpha2(alpha3: str) -> str:
    code = TREE.alpha2(alpha3)
    if code is None:
        raise ValueError("a published table has a country that the tree lacks")
    return code
