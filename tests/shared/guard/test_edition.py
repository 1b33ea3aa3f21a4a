"""The guard's edition: another guard, another name."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import shared.guard
from shared.envelope.spelling import SPELLINGS
from shared.guard.charge import NUMBER
from shared.guard.edition import edition, passed

HERE = Path(shared.guard.__file__).parent


def of(sources: dict[str, bytes]) -> str:
    """The edition, put together from its description."""
    stated = b"".join(f"{name}:{len(text)}\n".encode() + text for name, text in sorted(sources.items()))
    return hashlib.sha256(stated).hexdigest()[:32]


def test_the_edition_is_the_digest_of_every_module_of_the_guard_its_model_and_its_templates() -> None:
    sources = {path.name: path.read_bytes() for path in (*HERE.glob("*.py"), *HERE.glob("data/*"))}
    assert {"charge.py", "templates.json", f"charge-{NUMBER}.model"} <= set(sources)
    assert edition() == of(sources)
    for name in sources:
        assert of(sources | {name: sources[name] + b"\n"}) != edition()


def test_what_a_message_states_is_a_header() -> None:
    assert re.fullmatch(SPELLINGS["ce_guard"], passed())
