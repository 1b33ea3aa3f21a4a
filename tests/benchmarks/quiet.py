"""The machine of a measurement: its other load, and the build of its Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import Final

#: A machine is quiet if its processors are busy for at most this share of their time.
QUIET_BUSY_MAX: Final = 0.05
LOOKED_S: Final = 3.0
#: In `/proc/stat`: idle, and waiting for a disk.
_IDLE: Final = (3, 4)
#: User, nice, system, idle, iowait, irq, softirq and steal; the time of guests is already in user.
_COUNTED: Final = 8


def busy_share(seconds: float = LOOKED_S) -> float:
    """Return the share of processor time that the machine used, or its host took, in the next seconds; 0 to 1."""
    before = _processor_line()
    sleep(seconds)
    return share_between(before, _processor_line())


def share_between(before: str, after: str) -> float:
    """Return the same for two first lines of `/proc/stat`."""
    spent = [int(b) - int(a) for a, b in zip(before.split()[1:], after.split()[1:], strict=True)][:_COUNTED]
    return 1 - sum(spent[at] for at in _IDLE) / (sum(spent) or 1)


def load_average() -> list[float]:
    """Return the load of the last 1, 5 and 15 minutes."""
    return [round(each, 2) for each in os.getloadavg()]


def python_build() -> str:
    """Describe the interpreter of bench and instances: path, version, and whether it is a PGO build."""
    script = Path(__file__).parents[2] / "requirements" / "choose-python.sh"
    command = ["sh", str(script), "--describe", sys.executable]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor_line() -> str:
    return Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
