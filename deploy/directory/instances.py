"""The instances of the sample directory, and of a stack that is told no others: data, as its parties are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("instances.json")
#: Instance → its kind of service. The first of a kind serves whoever's own instance is not run.
SAMPLE_INSTANCES: Final[Mapping[str, str]] = json.loads(_FILE.read_text(encoding="utf-8"))
