"""The examples of what instances tell each other and audit of themselves."""

from __future__ import annotations

from typing import Final

from deploy.artifacts.example_refusal import Refusal


def _reads() -> dict[str, object]:
    read = [("notice_issued", 1), ("notice_withdrawn", 1)]
    messages = [{"name": name, "version": version} for name, version in read]
    return {"messages": messages, "engines": [2], "vocabulary": "2d" * 32, "guards": ["3c" * 16]}


ACCEPTED: Final[dict[str, dict[str, object]]] = {"reads_announced.v1": {"two-messages": _reads()}}
REFUSED: Final[dict[str, tuple[Refusal, ...]]] = {
    "reads_announced.v1": (
        Refusal("no-messages", "/messages", []),
        Refusal("name-with-version", "/messages/0/name", "notice_issued.v1"),
        Refusal("message-twice", "/messages/1/name", "notice_issued", by="model"),
        Refusal("edition-in-words", "/vocabulary", "spring"),
    ),
}
