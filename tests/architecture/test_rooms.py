"""The packages of the tree: the same names in every service, and a page in each that states its purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.site.settings import SAMPLE_INSTANCES
from shared.core.vocabulary.routing import PartyKind
from tests.architecture.source import PRODUCT, ROOT

SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir() and path.name != "__pycache__")
ALWAYS = {"__init__", "app", "migrations", "README"}
#: The rooms of audit, which has no feature of a party.
AUDIT_ALONE = {"api", "bus", "console", "domain", "intake", "store", "use_cases"}
#: The sections of a service's page, with one heading each.
SECTIONS = ("Messages in", "Messages out", "States", "Stored data")
#: The kinds of party with a service, with `audit` for auditors. The sample directory has no reserved kind yet.
KINDS = {"audit" if kind is PartyKind.AUDITOR else kind.value for kind in PartyKind} & {*SAMPLE_INSTANCES.values()}


def rooms(service: str) -> set[str]:
    return {path.stem for path in (ROOT / "services" / service).iterdir() if path.name != "__pycache__"}


def test_there_is_one_service_for_each_kind_of_party() -> None:
    assert set(SERVICES) == KINDS


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_rooms_that_every_service_has(service: str) -> None:
    assert rooms(service) == (ALWAYS | AUDIT_ALONE if service == "audit" else ALWAYS)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_page_that_says_what_it_is_for(service: str) -> None:
    page = (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")
    assert [section for section in SECTIONS if section.lower() not in page.lower()] == []


def test_every_room_stands_in_the_table_of_the_architecture() -> None:
    """A new kind of package is added to docs/architecture.md first."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert [room for room in kinds_of_rooms() if f"`{room}`" not in page] == []
    assert "`extras/`" not in page


def kinds_of_rooms() -> list[str]:
    """Yield every package of shared, client and deploy, and every package of a service, as the table writes them."""
    packages = [
        path for package in PRODUCT[1:] for path in sorted((ROOT / package).iterdir()) if path.is_dir() and _kept(path)
    ]
    named = [f"{path.relative_to(ROOT)}/" for path in packages]
    files = {path.name for service in SERVICES for path in (ROOT / "services" / service).glob("*.py")}
    return named + sorted(files - {"__init__.py"})


def _kept(path: Path) -> bool:
    return path.name != "__pycache__"
