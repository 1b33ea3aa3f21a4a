"""Decide exported cases again, with the standard library and the engine only. Runs on Python >= 3.11.

    python replay_exported.py EXPORT.json

Prints one JSON line about the interpreter, then one canonical decision per line. `EXPORT.json` contains `directory`,
`policy` and `cases`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from shared.core.canonical import canonical_json, digest
from shared.core.clock import parse_rfc3339
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.engine import RoutingInput, judge
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.jurisdiction import TREE


def replay(export: dict[str, Any]) -> list[bytes]:
    """Return the canonical bytes of every decision of the export."""
    directory = DirectoryIndex(export["directory"], digest(canonical_json(export["directory"])), TREE)
    policy = PolicyIndex(export["policy"], digest(canonical_json(export["policy"])), TREE)
    decisions = []
    for case in export["cases"]:
        setting = RoutingInput(directory, policy, case["exercise"], parse_rfc3339(case["decided_at"]))
        outcome = judge(case["facts"], setting, salt=case["salt"], unknown=case["unknown"])
        decisions.append(canonical_json(outcome.as_json()))
    return decisions


def main() -> None:
    decisions = replay(json.loads(Path(sys.argv[1]).read_bytes()))
    foreign = sorted({"pydantic", "cryptography"} & sys.modules.keys())
    about = {"version": list(sys.version_info[:3]), "hash_of_text": hash("causeway"), "foreign": foreign}
    sys.stdout.buffer.write(json.dumps(about).encode() + b"\n" + b"".join(line + b"\n" for line in decisions))


if __name__ == "__main__":
    main()
