"""The choice of the Python for the environment, among simulated ones on a search path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.benchmarks.quiet import python_build

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


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_build_with_profiles_is_preferred_to_an_earlier_name_without(machine: Machine) -> None:
    machine.add("python3")
    better = machine.add("python3.12", PGO, version=(3, 12))
    assert machine.chosen() == better


def test_debians_own_python_counts_as_such_a_build(machine: Machine) -> None:
    machine.add("python3")
    system = machine.add("python3", DEBIAN, of="system")
    assert machine.chosen() == system


def test_of_two_such_builds_the_one_linked_as_a_whole_is_taken(machine: Machine) -> None:
    machine.add("python3", PGO)
    both = machine.add("python3.13", PGO, LTO, version=(3, 13))
    assert machine.chosen() == both


def test_linking_as_a_whole_does_not_make_up_for_missing_profiles(machine: Machine) -> None:
    machine.add("python3", LTO)
    profiled = machine.add("python3.12", PGO, version=(3, 12))
    assert machine.chosen() == profiled


def test_of_equal_builds_the_first_name_is_taken(machine: Machine) -> None:
    first = machine.add("python3", PGO)
    machine.add("python3.12", PGO, version=(3, 12))
    assert machine.chosen() == first


def test_a_python_that_is_too_old_or_incomplete_is_passed_over(machine: Machine) -> None:
    machine.add("python3", PGO, version=(3, 10))
    machine.add("python3.12", PGO, version=(3, 12), complete=False)
    plain = machine.add("python3.13", version=(3, 13))
    assert machine.chosen() == plain


def test_nothing_is_printed_where_no_python_will_do(machine: Machine) -> None:
    machine.add("python3", PGO, version=(3, 10))
    assert machine.chosen() == ""


def test_a_python_is_described_by_path_version_and_build() -> None:
    command = ["sh", str(SCRIPT), "--describe", sys.executable]
    described = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert described.startswith(f"{sys.executable} {sys.version.split()[0]} (")
    assert "PGO" in described
    assert python_build() == described.strip()
