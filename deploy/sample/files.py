"""Sampled referrals as files that `causeway referral import` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from deploy.sample.generator import SampledReferral


def write_jsonl(path: Path, sampled: Iterable[SampledReferral]) -> int:
    """Write one object a line: `origin`, `label` (the dirty code put in, or null) and `referral`. Returns the rows."""
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for each in sampled:
            line = {"origin": each.origin, "label": each.label, "referral": each.referral}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            rows += 1
    return rows
