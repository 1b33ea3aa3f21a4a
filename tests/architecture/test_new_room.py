"""The files that a new kind of service needs by hand, in these places only. Each missing one is named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sizes import python_lines
from tests.architecture.source import ROOT, modules

#: Files of a service whose features exist.
ROOM = (
    *("__init__.py", "app.py", "README.md"),
    *("migrations/versions/0001_first_tables.py", "migrations/versions/0001_first_tables.sql"),
)
INSTANCES = "deploy/site/instances.json"
BY_HAND_MAX = 6
#: The service that a new kind copies, and the most code lines of its assembly.
MODEL_APP = "services/hotline/app.py"
APP_LINES_MAX = 40
KINDS = sorted({path.parent.name for path in (ROOT / "services").glob("*/*.py")})

#: Checks of the tree with the new service: all that a stack needs before its servers run.
_STANDS_UP = """
from deploy.artifacts.__main__ import offline
from deploy.directory.approval import document_body
from deploy.directory.approval import sample_directory
from deploy.site.settings import SAMPLE_INSTANCES
from deploy.site.settings import KINDS
from shared.core.routing.documents import read_directory
from shared.platform.database.migrate import newest_schema
from tests.support.exchange_world import Keys, OpeningKey, SigningKey
keys = {name: Keys(SigningKey.generate(), OpeningKey.generate()).public() for name in SAMPLE_INSTANCES}
assert read_directory(document_body(sample_directory(keys))).kinds()["support"] == "support"
assert "support" in KINDS and newest_schema("support").revisions == newest_schema("hotline").revisions
assert "/v1/inbox" in offline("support").openapi()["paths"]
"""


def by_hand(kind: str) -> list[str]:
    """Return every place that a new kind needs by hand. (The vocabulary already contains the possible kinds.)"""
    return [*(f"services/{kind}/{name}" for name in ROOM), INSTANCES]


def generated(kind: str) -> list[str]:
    """Return the files that `deploy.artifacts` and `deploy.artifacts.catalogues` write for it."""
    return [f"services/{kind}/migrations/catalogue.txt", f"docs/api/openapi-{kind}.json"]


def forgotten(root: Path, kind: str) -> list[str]:
    """Return the places that do not mention a kind yet.

    A module that has become a folder of its name counts as present.
    """
    missing = [place for place in [*by_hand(kind), *generated(kind)] if not _is_there(root / place)]
    unnamed = kind not in json.loads((root / INSTANCES).read_text(encoding="utf-8")).values()
    return [*missing, *([INSTANCES] if unnamed else [])]


def _is_there(place: Path) -> bool:
    return place.is_file() or (place.suffix == ".py" and (place.with_suffix("") / "__init__.py").is_file())


@pytest.mark.parametrize("kind", KINDS)
def test_no_place_has_been_forgotten(kind: str) -> None:
    assert forgotten(ROOT, kind) == []


def test_a_new_kind_takes_few_files_and_lines_by_hand() -> None:
    assert len(by_hand("support")) <= BY_HAND_MAX
    app = next(each for each in modules("services") if each.path == MODEL_APP)
    assert python_lines(app).code <= APP_LINES_MAX


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the product with one more kind: the hotlines' service under another name, and nothing else changed."""
    root = tmp_path_factory.mktemp("tree")
    for name in ("client", "deploy", "services", "shared", "tests/support", "docs/api"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.sha256"))
    room, model = root / "services/support", root / "services/hotline"
    shutil.copytree(model, room)
    for module in room.glob("*.py"):
        module.write_text(module.read_text(encoding="utf-8").replace("services.hotline", "services.support"))
    shutil.copyfile(root / "docs/api/openapi-hotline.json", root / "docs/api/openapi-support.json")
    instances = json.loads((root / INSTANCES).read_text(encoding="utf-8"))
    (root / INSTANCES).write_text(json.dumps(instances | {"support": "support"}), encoding="utf-8")
    return root


def test_with_these_a_new_kind_stands_up(tree: Path) -> None:
    assert forgotten(tree, "support") == []
    ran = subprocess.run([sys.executable, "-c", _STANDS_UP], cwd=tree, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("place", [*by_hand("support"), *generated("support")])
def test_each_that_is_forgotten_is_named(tree: Path, place: str) -> None:
    file = tree / place
    kept = file.read_bytes()
    try:
        if place == INSTANCES:
            file.write_text(json.dumps({name: name for name in KINDS}))
        else:
            file.unlink()
        assert forgotten(tree, "support") == [place]
    finally:
        file.write_bytes(kept)
