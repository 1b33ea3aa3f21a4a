"""Cached results, so that no long promise runs twice for the same code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
STATE: Final = ROOT / ".state" / "acceptance"
#: Files that do not affect the result of a long run.
_DOCUMENTS: Final = (":!docs", ":!changelog.d", ":!*.md")
#: Pages that acceptance writes and no test reads.
_PAGES: Final = (":!docs/acceptance.md", ":!docs/acceptance-long.md")


class Kept:
    """Results for one commit, by name. With uncommitted code nothing is stored."""

    def __init__(self, commit: str, folder: Path = STATE) -> None:
        self.commit = commit
        self._file = folder / f"{commit}.json" if "+" not in commit else None
        there = self._file is not None and self._file.exists()
        self._entries: dict[str, Any] = json.loads(self._file.read_text()) if there and self._file else {}

    def get(self, name: str) -> Any:
        """Return the entry with this name, or None."""
        return self._entries.get(name)

    def keep(self, name: str, entry: Any) -> None:
        """Store an entry. It is durable when this returns."""
        self._entries[name] = entry
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._entries, indent=1))


def code_commit(root: Path = ROOT) -> str:
    """Return the last commit that changed anything but documents, with a `+` if there are changes since."""
    commit = _git(root, "log", "-1", "--format=%h", "--", ".", *_DOCUMENTS) or "none+"
    return commit + ("+" if _git(root, "status", "--porcelain", "--", ".", *_DOCUMENTS) else "")


def whole_commit(root: Path = ROOT) -> str:
    """Return the commit, documents included, with a `+` if there are changes since."""
    changed = _git(root, "status", "--porcelain", "--", ".", *_PAGES)
    return (_git(root, "rev-parse", "--short", "HEAD") or "none+") + ("+" if changed else "")


def _git(root: Path, *words: str) -> str:
    ran = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return ran.stdout.strip()
