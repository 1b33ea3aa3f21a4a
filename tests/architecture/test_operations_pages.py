"""Every name that an operator meets is explained in docs/operations, and nothing is explained that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import get_args

import pytest

from services.audit.settings import AuditSettings
from services.hotline.settings import HotlineSettings
from services.industry.settings import IndustrySettings
from services.law_enforcement.settings import LawEnforcementSettings
from shared.exchange.record_table import RECORD_TABLE
from shared.runtime.logs import EVENTS, FIELDS
from shared.runtime.metrics import REGISTRY
from shared.runtime.telemetry import Attributes, SpanName
from tests.architecture.source import ROOT

#: Fields that every line gets besides its own (`docs/operations/logs.md`).
STAMPED = {"at", "event", "fields_dropped", "instance", "level", "trace_id"}
SETTINGS = (HotlineSettings, LawEnforcementSettings, IndustrySettings, AuditSettings)


def metric_names() -> set[str]:
    """As Prometheus shows them: a counter ends in `_total`."""
    return {family.name + ("_total" if family.type == "counter" else "") for family in REGISTRY.collect()}


def alarm_codes() -> set[str]:
    return {code for code, row in RECORD_TABLE.items() if row.alarm}


PAGES: dict[str, Callable[[], set[str]]] = {
    "alarms.md": alarm_codes,
    "logs.md": lambda: EVENTS | FIELDS | STAMPED,
    "metrics.md": metric_names,
    "traces.md": lambda: {*get_args(SpanName), *Attributes.__annotations__},
    "settings.md": lambda: {name.upper() for model in SETTINGS for name in model.model_fields},
}


def explained(page: str) -> set[str]:
    """The names in the first column of the page's tables."""
    text = (ROOT / "docs/operations" / page).read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_explains_every_name_and_no_other(page: str) -> None:
    assert explained(page) == PAGES[page]()
