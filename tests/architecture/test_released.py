"""What was released never changes, and all of it is listed: first migrations, golden records, data with a meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import ROOT

LIST = Path("deploy") / "released.sha256"
#: What is frozen with the format: each of these files is listed, and a golden record that comes later too. A later
#: revision is listed when it is released. Schemas are not: texts that explain them may change, and what they say is
#: pinned in `golden`.
FROZEN = (
    "services/*/migrations/versions/0001_first_tables.*",
    "shared/contracts/golden/**/*",
    "shared/guard/data/*",
    "shared/vocabulary/data/*",
)


def released(root: Path) -> dict[str, str]:
    """Digest by path of every released file."""
    lines = [line for line in (root / LIST).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def frozen(root: Path) -> list[str]:
    """The files that a release must list, by path."""
    files = (file for pattern in FROZEN for file in root.glob(pattern) if "__pycache__" not in file.parts)
    return sorted(str(file.relative_to(root)) for file in files if file.is_file())


def forgotten(root: Path) -> list[str]:
    """What the list has left out."""
    listed = released(root)
    return [path for path in frozen(root) if path not in listed]


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


def test_nothing_that_is_frozen_was_forgotten() -> None:
    assert forgotten(ROOT) == []


def test_each_pattern_of_what_is_frozen_has_files() -> None:
    """A folder that moves would else take its files out of the rule."""
    assert [pattern for pattern in FROZEN if not any(file.is_file() for file in ROOT.glob(pattern))] == []
    assert {
        "services/audit/migrations/versions/0001_first_tables.sql",
        "shared/contracts/golden/reads.json",
        "shared/contracts/golden/schemas/directory.v1.json",
        "shared/guard/data/charge-1.model",
        "shared/vocabulary/data/jurisdictions.json",
    } <= set(frozen(ROOT))


def test_what_a_release_has_forgotten_is_found(tmp_path: Path) -> None:
    """The rule shown red on a made-up list: all that is frozen but one file, of each pattern in turn."""
    files = frozen(ROOT)
    for path in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes((ROOT / path).read_bytes())
    (tmp_path / LIST).parent.mkdir()

    def list_without(*left_out: str) -> None:
        lines = [f"{hashlib.sha256((ROOT / path).read_bytes()).hexdigest()}  {path}\n" for path in files]
        lines = [line for line in lines if line.split("  ", 1)[1].strip() not in left_out]
        (tmp_path / LIST).write_text("# released\n" + "".join(lines), encoding="utf-8")

    list_without()
    assert forgotten(tmp_path) == []
    assert list(changed(tmp_path)) == []
    for pattern in FROZEN:
        missing = next(path for path in files if (ROOT / path) in set(ROOT.glob(pattern)))
        list_without(missing)
        assert forgotten(tmp_path) == [missing]
    list_without(*files)
    assert forgotten(tmp_path) == files


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
