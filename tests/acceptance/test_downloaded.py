"""What a first `make demo` downloads: the wheels of its lock file, with a Java and PostgreSQL, and Kafka's jars.

A wheel is a zip of the files that it installs: they are packed again here, which is right to one part in a hundred.
The index pages of the registry are not counted.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import pytest

from deploy.devstack.jars import locked_jars
from deploy.devstack.state import DevStackSettings

pytestmark = pytest.mark.long

BYTES_MAX: Final = 130_000_000
LOCK: Final = Path(__file__).parents[2] / "requirements" / "demo.lock"
#: Of one file in a zip, beside its content and twice its name.
_ENTRY_BYTES: Final = 98
#: What the installer adds.
_NOT_PACKED: Final = frozenset({"INSTALLER", "REQUESTED", "direct_url.json"})


def wheel_bytes(name: str) -> int:
    files = [each for each in distribution(name).files or () if "__pycache__" not in each.parts]
    packed = {str(each): Path(str(each.locate())) for each in files if each.name not in _NOT_PACKED}
    return sum(
        len(zlib.compress(path.read_bytes(), 6)) + 2 * len(file) + _ENTRY_BYTES
        for file, path in packed.items()
        if path.is_file()
    )


def test_a_first_demo_downloads_130_mb_at_most(record_property: Callable[[str, object], None]) -> None:
    names = re.findall(r"^([a-z0-9._-]+)==", LOCK.read_text(), re.MULTILINE)
    jars = DevStackSettings().causeway_cache_dir / "jars"
    wheels, of_kafka = (
        sum(map(wheel_bytes, names)),
        sum((jars / each.file_name).stat().st_size for each in locked_jars()),
    )
    assert len(names) > 50
    assert wheels > 2 * of_kafka > 0
    record_property("figure", f"{len(names)} wheels {wheels / 1e6:.1f} MB, Kafka's jars {of_kafka / 1e6:.1f} MB")
    assert wheels + of_kafka <= BYTES_MAX
