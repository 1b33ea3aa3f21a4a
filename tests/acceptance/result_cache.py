"""What was shown already, so that nothing that takes long is shown twice for the same code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
STATE: Final = ROOT / ".state" / "acceptance"
#: What can change without any other outcome of what runs long.
_DOCUMENTS: Final = (":!docs", ":!changelog.d", ":!*.md")
#: What no test reads: acceptance writes it.
_PAGES: Final = (":!docs/acceptance.md", ":!docs/acceptance-long.md")


class Kept:
    """What was kept of one commit, by name; nothing is kept of code that is in no commit."""

    def __init__(self, commit: str, folder: Path = STATE) -> None:
        self.commit = commit
        self._file = folder / f"{commit}.json" if "+" not in commit else None
        there = self._file is not None and self._file.exists()
        self._entries: dict[str, Any] = json.loads(self._file.read_text()) if there and self._file else {}

    def get(self, name: str) -> Any:
        """What was kept under this name, None if nothing was."""
        return self._entries.get(name)

    def keep(self, name: str, entry: Any) -> None:
        """Keep it, durable when this returns."""
        self._entries[name] = entry
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._entries, indent=1))


def code_commit(root: Path = ROOT) -> str:
    """The last commit that changed anything but documents, with a `+` where something is changed since."""
    commit = _git(root, "log", "-1", "--format=%h", "--", ".", *_DOCUMENTS) or "none+"
    return commit + ("+" if _git(root, "status", "--porcelain", "--", ".", *_DOCUMENTS) else "")


def whole_commit(root: Path = ROOT) -> str:
    """The commit, documents and all, with a `+` where something is changed since."""
    changed = _git(root, "status", "--porcelain", "--", ".", *_PAGES)
    return (_git(root, "rev-parse", "--short", "HEAD") or "none+") + ("+" if changed else "")


def _git(root: Path, *words: str) -> str:
    ran = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return ran.stdout.strip()
