"""A later edition of the guard next to today's: another canonical form, a costlier model and one more row."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from deploy.artifacts.charge_model import ModelDraft, written
from shared.core.guard import canonical, charge, files, templates
from shared.core.guard.edition import GuardVersion
from tests.support.slow_charge import drafted

#: The module. The package has a function of the same name.
edition = import_module("shared.core.guard.edition")
LATER = GuardVersion(form=2, model=2, templates=2)
ROW = {"name": "later", "hosts": ["later.example"], "cut": ["sig"], "examples": []}


def copied_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Copy the guard's data to a writable folder of this test."""
    folder = tmp_path / "data"
    shutil.copytree(Path(str(files.FOLDER)), folder)
    monkeypatch.setattr(files, "FOLDER", folder)
    edition._checked.cache_clear()
    return folder


def with_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let this release know both editions, and submit under the later one."""
    folder = copied_data(monkeypatch, tmp_path)
    first = drafted((folder / "charge-1.model").read_bytes())
    dearer = written(ModelDraft({key: min(255, 2 * cost) for key, cost in first.costs.items()}, first.escapes))
    rows = json.loads((folder / "templates-1.json").read_text("utf-8"))
    more = json.dumps(rows | {"rows": [*rows["rows"], ROW]}).encode()
    for name, data, digests in (
        ("charge-2.model", dearer, charge.MODELS_SHA256),
        ("templates-2.json", more, templates.TEMPLATES_SHA256),
    ):
        (folder / name).write_bytes(data)
        monkeypatch.setitem(digests, 2, hashlib.sha256(data).hexdigest())  # type: ignore[arg-type]
    monkeypatch.setitem(canonical.FORMS, 2, _without_fragment)  # type: ignore[arg-type]
    reads(monkeypatch, *edition.EDITIONS[:1], LATER)


def reads(monkeypatch: pytest.MonkeyPatch, *editions: GuardVersion) -> None:
    """Let this release know only these editions."""
    monkeypatch.setattr(edition, "EDITIONS", editions)


def _without_fragment(text: str, kind: str) -> str:
    return canonical.canonical(text.partition("#")[0], kind)
