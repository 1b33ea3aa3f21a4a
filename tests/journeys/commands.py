"""Commands from documents, run in a new shell with the environment of a newcomer after `make setup`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from deploy.site.settings import inherited_environment

ROOT = Path(__file__).parents[2]
#: The command that makes `causeway` available in a shell, run at the root of the repository.
ACTIVATES = "source .venv/bin/activate"
#: The placeholder for an id that the reader has just seen.
ID = re.compile(r"\bID\b")
_UUID = "-".join(f"[0-9a-f]{{{count}}}" for count in (8, 4, 4, 4, 12))


def blocks(document: Path) -> list[list[str]]:
    """Return the blocks of commands in their order, without comments."""
    found = re.findall(r"^```\n(.*?)^```$", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [[line.split("  #")[0].rstrip() for line in block.splitlines()] for block in found]


def whole(lines: Iterable[str]) -> Iterator[str]:
    """Yield the commands of some lines, each with its here-document: `<<'END'` up to `END`."""
    given: list[str] = []
    for line in lines:
        given.append(line)
        if line == "END" or (len(given) == 1 and not line.endswith("<<'END'")):
            yield "\n".join(given)
            given = []
    assert not given, given


def as_read(commands: Iterable[str]) -> Iterator[str]:
    """Yield the commands for a shell in which `ID` is the first id of the last output that has one."""
    for command in commands:
        yield f"{{ {ID.sub('$ID', command)}\n}} > said"
        yield f"cat said; ID=$(grep -oE -m 1 '{_UUID}' said | head -n 1 || true); ID=${{ID:-${{BEFORE-}}}}; BEFORE=$ID"


def shell(folder: Path, *commands: str, seconds_max: float = 300, **variables: str) -> str:
    """Run commands in one new shell that stops at the first failure; return their output."""
    environment = inherited_environment()
    keep = {name: environment[name] for name in ("HOME", "LANG", "JAVA_HOME", "TMPDIR") if name in environment}
    program = "\n".join([ACTIVATES, 'cd "$FOLDER"', "set -eu", *commands])
    ran = subprocess.run(
        ["bash", "-c", program],
        cwd=ROOT,
        env=keep | {"PATH": "/usr/local/bin:/usr/bin:/bin", "FOLDER": str(folder)} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
