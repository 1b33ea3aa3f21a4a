"""The import rules between packages. Each contract of pyproject.toml holds, and each detects a planted violation."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from tests.architecture.source import PRODUCT, ROOT, modules

#: Contract, the module that gets a forbidden line, the line: one for each kind of finding. A module that does not exist
#: is a new package.
PLANTS = [
    ("top", "shared/core/clock.py", "import services.hotline.app"),
    ("top", "services/audit/app.py", "import deploy.serve"),
    ("services", "services/hotline/app.py", "import services.industry.app"),
    ("feature", "shared/features/offers/rules.py", "import shared.features.offers.ports"),
    ("floors", "shared/features/workspace/pages/subjects.py", "import shared.features.offers.rules"),
    ("audit", "services/audit/store/entries.py", "import services.audit.use_cases"),
    ("audit", "services/audit/extras.py", ""),
    ("core", "shared/core/clock.py", "import shared.core.vocabulary.code"),
    ("core", "shared/core/guard/rules.py", "import shared.core.protocol.message"),
    ("shared", "shared/messaging/relay.py", "import shared.delivery.sending"),
    ("shared", "shared/platform/kafka/reader.py", "import shared.messaging.streams"),
    ("core", "shared/core/extras.py", ""),
    ("shared", "shared/extras.py", ""),
    ("platform", "shared/platform/console/rendering.py", "import shared.platform.kafka.access"),
    ("platform", "shared/platform/extras.py", ""),
    ("delivery", "shared/messaging/relay.py", "import starlette"),
    ("delivery", "shared/delivery/loops.py", "import shared.platform.http.paging"),  # reaches fastapi indirectly
    ("http", "shared/platform/http/edge.py", "import shared.platform.kafka.access"),  # reaches aiokafka indirectly
    ("http", "shared/platform/http/server.py", "import faststream"),
    ("console", "services/audit/console/pages.py", "import httpx"),
    ("frame", "shared/platform/console/forms.py", "import shared.core.acts.act"),
    ("observability", "shared/platform/observability/logs.py", "import shared.core.contracts.referral"),
    ("feature", "shared/features/filing/store/intake.py", "import shared.features.filing.service.intake"),
    ("shared", "shared/features/filing/effects.py", "import shared.instance.parties"),
    ("no-circle", "shared/core/protocol/message.py", "import shared.core.protocol.accept"),
    ("feature", "shared/features/received/extras.py", ""),
    ("floors", "shared/features/received/effects.py", "import shared.features.filing.effects"),
    ("use-cases", "shared/features/filing/service/intake.py", "import shared.platform.database.transactions"),
    ("use-cases", "shared/features/filing/service/referrals.py", "import asyncpg"),
    ("stores", "shared/features/offers/store.py", "import shared.platform.http.paging"),
    ("stores", "shared/features/filing/store/intake.py", "import starlette"),
    ("purity", "shared/features/filing/rules.py", "import shared.platform.http.paging"),  # reaches fastapi indirectly
    ("purity", "shared/features/offers/rules.py", "import sqlalchemy"),
    ("purity", "services/audit/domain/shown.py", "import asyncpg"),
    ("purity", "shared/core/clock.py", "import opentelemetry"),
    ("client", "client/transport.py", "import asyncpg"),
    ("client", "deploy/sandbox/party_agents.py", "import shared.platform.database.transactions"),
    ("site", "deploy/operator/state.py", "import deploy.devstack.servers"),
    ("site", "deploy/operator/doctor.py", "import deploy.stack_children"),  # reaches the dev stack indirectly
    ("site", "deploy/site/endpoints.py", "import deploy.devstack.state"),
]
#: External libraries that a package below the contracts may import besides the standard library.
ROOTS = ("authority", "canonical", "clock", "codes", "errors", "ids", "vocabulary")
LIBRARIES = {f"shared.core.{root}": set() for root in ROOTS} | {"shared.core.ledger": {"cryptography"}}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the four packages, Python files only, with the contracts, in which violations can be planted."""
    tree = tmp_path_factory.mktemp("tree")
    for package in PRODUCT:
        for source in (ROOT / package).rglob("*.py"):
            target = tree / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    shutil.copyfile(ROOT / "pyproject.toml", tree / "pyproject.toml")
    return tree


@pytest.fixture
def planted(copy: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    _, module, line = request.param
    path = copy / module
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    yield copy
    if before is None:
        path.unlink()
    else:
        path.write_text(before, encoding="utf-8")


def check_contracts(tree: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    options = [option for contract in contracts for option in ("--contract", contract)]
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache", *options]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=180, check=False)


def contracts() -> dict[str, str]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract["name"] for contract in config["tool"]["importlinter"]["contracts"]}


def test_every_arrow_points_the_way_it_should(copy: Path) -> None:
    done = check_contracts(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("planted", "contract"),
    [(plant, plant[0]) for plant in PLANTS],
    ids=[f"{contract}: {module} {line}" for contract, module, line in PLANTS],
    indirect=["planted"],
)
def test_a_contract_sees_what_it_forbids(planted: Path, contract: str) -> None:
    done = check_contracts(planted, contract)
    assert done.returncode == 1, done.stdout
    assert "0 kept, 1 broken" in done.stdout
    assert contracts()[contract] in done.stdout


def test_every_contract_is_shown_red_at_least_once() -> None:
    assert {contract for contract, _, _ in PLANTS} == contracts().keys()


def foreign_imports(package: str, graph: grimp.ImportGraph) -> set[str]:
    """Return imports of `package` from outside the repository and the standard library."""
    inside = {package} | graph.find_descendants(package)
    imported = {each for module in inside for each in graph.find_modules_directly_imported_by(module)}
    return {each for each in imported if not each.startswith(PRODUCT) and each not in sys.stdlib_module_names}


def test_the_lowest_packages_stand_on_the_standard_library() -> None:
    graph = grimp.build_graph(*PRODUCT, include_external_packages=True, cache_dir=None)
    for package, libraries in LIBRARIES.items():
        assert foreign_imports(package, graph) <= libraries, package
        graph.add_import(importer=f"{package}.planted", imported="pydantic")
        assert foreign_imports(package, graph) - libraries == {"pydantic"}


def test_a_migration_reads_nothing_of_the_code() -> None:
    """Migrations are files that Alembic runs, not packages: import-linter does not see them.

    A revision must not change with the code, so it imports only Alembic and the runner of its SQL files.
    """
    migrations = [module for module in modules("services") if "/migrations/" in module.path]
    assert any("/versions/" in module.path for module in migrations)
    assert [found for module in migrations for found in strangers(module.path, module.text)] == []
    revision = "services/hotline/migrations/versions/0001_first_tables.py"
    assert strangers(revision, "from services.hotline import store\n") == ["services.hotline"]
    assert strangers(revision, "import sqlalchemy as sa\nfrom shared.platform import x\n") == [
        "sqlalchemy",
        "shared.platform",
    ]


def strangers(path: str, text: str) -> list[str]:
    """Return imports of a migration other than Alembic, the runner and the standard library."""
    allowed = ("alembic", "shared.platform.database.migrate")
    found = [line.split()[1] for line in text.splitlines() if line.startswith(("from ", "import "))]
    return [
        name for name in found if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith(allowed)
    ]
