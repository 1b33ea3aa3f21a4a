"""The alerts: when somebody is to look, how soon, and what to do first. `docs/operations/alerts.md` is written of them.

An instance of several processes measures the same tables in each: of table gauges the greatest counts, counters add up.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple


class Severity(StrEnum):
    """How soon somebody looks: at once, whatever the hour; today; this week."""

    PAGE = "page"
    TODAY = "today"
    WEEK = "week"


class Alert(NamedTuple):
    """One rule. `holds` is PromQL that has a value while something is wrong, `for_m` for how many minutes on end."""

    name: str
    holds: str
    for_m: int
    severity: Severity
    says: str
    first: str


#: Those of `alerts.json`.
ALERTS: Final = tuple(
    Alert(**{**each, "severity": Severity(each["severity"])})
    for each in json.loads(Path(__file__).with_name("alerts.json").read_text(encoding="utf-8"))
)
