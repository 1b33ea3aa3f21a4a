"""What was released never changes: migrations, since a database would be another than they make now; golden records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import ROOT

LIST = Path("deploy") / "released.sha256"


def released(root: Path) -> dict[str, str]:
    """Digest by path of every released file."""
    lines = [line for line in (root / LIST).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def changed(root: Path) -> Iterator[str]:
    """Released files that are not what they were: changed or gone, or of a revision that is listed by halves."""
    listed = released(root)
    for path, digest in listed.items():
        if not (root / path).is_file():
            yield f"{path} is gone"
        elif hashlib.sha256((root / path).read_bytes()).hexdigest() != digest:
            yield f"{path} has changed"
        for beside in sorted((root / path).parent.glob(f"{Path(path).stem}.*")):
            if str(beside.relative_to(root)) not in listed:
                yield f"{beside.relative_to(root)} is not listed beside it"


def test_nothing_released_has_changed() -> None:
    assert list(changed(ROOT)) == []


def test_a_released_migration_that_changes_is_found(tmp_path: Path) -> None:
    """The rule shown red on a sample: listed, then changed by one space, then gone."""
    versions = "services/hotline/migrations/versions"
    names = [f"{versions}/0001_first_tables.{ending}" for ending in ("py", "sql")]
    (tmp_path / versions).mkdir(parents=True)
    (tmp_path / LIST).parent.mkdir()
    for name in names:
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    lines = [f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}" for name in names]
    (tmp_path / LIST).write_text("# released\n" + "\n".join(lines) + "\n", encoding="utf-8")
    assert list(changed(tmp_path)) == []
    (tmp_path / names[1]).write_bytes((tmp_path / names[1]).read_bytes() + b" ")
    assert list(changed(tmp_path)) == [f"{names[1]} has changed"]
    (tmp_path / names[1]).unlink()
    assert list(changed(tmp_path)) == [f"{names[1]} is gone"]
    (tmp_path / names[1]).write_bytes(b"")
    (tmp_path / LIST).write_text(f"{lines[0]}\n", encoding="utf-8")
    assert list(changed(tmp_path)) == [f"{names[1]} is not listed beside it"]
