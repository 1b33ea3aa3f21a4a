"""A feature with a message and a state of its own takes one folder, one line in the catalogue, one in each service.

A line is an entry of a tuple with the import that it needs. The sample feature (`sample_feature`) is a call about a
case: an agency proposes it, and the origin of the referral confirms it. It is added to a copy of the tree. There
artifacts and catalogues are written, mypy passes, and a hotline and an agency exchange the messages over Kafka. A copy
without one of the six parts does not begin, and names the part.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from deploy.site.settings import inherited_environment
from tests.architecture.source import ROOT
from tests.support.stack import PREPARED

SAMPLE: Final = Path(__file__).with_name("sample_feature")
PARTS: Final = ("contract.py", "acts.py", "rules.py", "service.py", "effects.py", "schema.sql")
#: The folder of the feature in the tree.
PLACE: Final = Path("shared/features/calls")
#: By file: the import that the line needs, what the line follows, and the entry.
LINES: Final = {
    "shared/catalog.py": ("from shared.features.calls.acts import CALLS", "Catalog((CORE, CONTACT", ", CALLS"),
    "services/hotline/app.py": (
        "from shared.features.calls.effects import AT_ORIGINS",
        "FEATURES: Final = (*parties.FEATURES,",
        " AT_ORIGINS",
    ),
    "services/law_enforcement/app.py": (
        "from shared.features.calls.effects import AT_AGENCIES",
        "FEATURES: Final[Sequence[RecipientFeature]] = (SUGGESTED,",
        " AT_AGENCIES",
    ),
}
COPIED: Final = ("client", "deploy", "services", "shared", "tests", "docs", "pyproject.toml")
#: Assembles both services without database and broker, and reads the files that their migrations run.
_BEGINS: Final = """
from deploy.artifacts.__main__ import offline
from services.hotline.app import FEATURES as at_origins
from services.law_enforcement.app import FEATURES as at_agencies
from shared.catalog import CATALOG
assert CATALOG.knows("call_proposed") and CATALOG.knows("call_confirmed")
assert "/v1/referrals/{referral_id}:confirm-call" in offline("hotline").openapi()["paths"]
assert "/v1/cases/{referral_id}:propose-call" in offline("law_enforcement").openapi()["paths"]
for each in (*at_origins, *at_agencies):
    assert each.schema is None or each.schema.read_text()
"""


#: The services that have the feature have a retention rule for its table, and permit the act of their side.
_KEPT: Final = """
from deploy.operator.retention_policy import POLICY
from shared.platform.database.migrate import newest_schema
kinds = {kind for kind, rules in POLICY.items() if "call" in {each.table for each in rules}}
assert kinds == {"hotline", "law_enforcement"}
assert "permission referral confirm_call analyst" in newest_schema("hotline").catalogue
assert "permission case propose_call analyst" not in newest_schema("hotline").catalogue
assert "permission case propose_call analyst" in newest_schema("law_enforcement").catalogue
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree with the sample feature: its folder and three lines."""
    root = tmp_path_factory.mktemp("with_calls")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, root / name)
    shutil.copytree(SAMPLE, root / PLACE)
    (root / PLACE / "__init__.py").write_text('"""Calls about cases."""\n', encoding="utf-8")
    for path, line in LINES.items():
        add_line(root / path, *line)
    return root


def add_line(file: Path, imported: str, after: str, entry: str) -> None:
    """Add an entry to the tuple of a module, and the import of the entry."""
    text = file.read_text(encoding="utf-8")
    assert text.count(after) == 1
    first, rest = text.replace(after, after + entry).split("\nfrom shared.", 1)
    file.write_text(f"{first}\n{imported}\nfrom shared.{rest}", encoding="utf-8")


def run(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a tree, without the servers and databases that were prepared for this one."""
    environment = {name: text for name, text in inherited_environment().items() if name != PREPARED}
    return subprocess.run(
        [sys.executable, *words], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def succeeded(tree: Path, *words: str) -> str:
    ran = run(tree, *words)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_sample_has_the_six_parts_and_no_other() -> None:
    assert sorted(path.name for path in SAMPLE.iterdir() if path.is_file()) == sorted(PARTS)


def test_with_it_the_tree_begins(tree: Path) -> None:
    succeeded(tree, "-c", _BEGINS)


@pytest.mark.parametrize("part", PARTS)
def test_without_one_of_its_parts_the_tree_does_not_begin_and_names_it(tree: Path, part: str) -> None:
    file = tree / PLACE / part
    kept = file.read_bytes()
    try:
        file.unlink()
        ran = run(tree, "-c", _BEGINS)
    finally:
        file.write_bytes(kept)
    named = str(PLACE / part) if part == "schema.sql" else ".".join((*PLACE.parts, Path(part).stem))
    assert ran.returncode == 1
    assert named in ran.stderr.splitlines()[-1]


def test_without_its_line_in_the_catalogue_no_service_with_it_begins(tree: Path) -> None:
    file = tree / "shared/catalog.py"
    kept = file.read_bytes()
    try:
        shutil.copyfile(ROOT / "shared/catalog.py", file)
        ran = run(tree, "-c", 'from deploy.artifacts.__main__ import offline\noffline("hotline")')
    finally:
        file.write_bytes(kept)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].endswith("feature calls is not in the catalogue")


def test_its_artifacts_are_written(tree: Path) -> None:
    written = {line.split()[1] for line in succeeded(tree, "-m", "deploy.artifacts").splitlines()}
    schemas = "shared/core/contracts/schemas"
    assert {f"{schemas}/call_proposed.v1.json", f"{schemas}/call_confirmed.v1.json"} <= written
    assert {"docs/messages.md", "docs/states.md", "docs/api/asyncapi.json", "docs/api/openapi-hotline.json"} <= written
    assert succeeded(tree, "-m", "deploy.artifacts") == ""


def test_mypy_passes_with_it(tree: Path) -> None:
    changed = [*(str(PLACE / part) for part in PARTS if part.endswith(".py")), *LINES]
    succeeded(tree, "-m", "mypy", "--follow-imports", "silent", *changed)


@pytest.mark.long
def test_a_hotline_and_an_agency_exchange_its_messages(
    tree: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    succeeded(tree, "-m", "deploy.artifacts.catalogues")
    succeeded(tree, "-c", _KEPT)
    said = json.loads(succeeded(tree, "-m", "tests.architecture.sample_exchange", str(tmp_path)))
    assert said["done"]["state"] == "routed"
    for stage in ("before", "after"):
        [at_hotline], [at_agency] = said[stage]
        counterparts = at_hotline.pop("counterpart"), at_agency.pop("counterpart")
        assert counterparts == ("police-nl.example", "hotline-be.example")
        assert at_hotline == at_agency
        assert at_hotline["call"] == said["proposed"]["call"]
        record_property(stage, at_hotline["state"])
    assert [at["state"] for at in (*said["before"][0], *said["after"][0])] == ["proposed", "confirmed"]
    types = [each["type"] for each in said["timeline"]["items"]]
    assert [each for each in types if "call" in each] == ["case.propose_call", "case.call_confirmed"]
