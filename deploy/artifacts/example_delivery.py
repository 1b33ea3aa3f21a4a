"""The examples of what instances tell each other about delivery itself."""

from __future__ import annotations

from typing import Final

from deploy.artifacts.example_refusal import GONE, Refusal

TOPIC_ID: Final = "7c9f0f4e-6f0b-4a52-9f3b-2f8f3b0a4c11"
_EPOCH, _EPOCH_BEFORE = "019b2d3c-4400-7000-8000-0000000000e2", "019a0d3c-4400-7000-8000-0000000000e1"
_EDGE, _NONCE = "4b1e5f0a-9c1d-4c1e-8e57-1d2f3a4b5c6d", "0d9e8f7a-6b5c-4d3e-8f2a-1b0c9d8e7f6a"
_WANTED = "019b2d3c-4400-7000-8000-000000000301"
_PAIR: Final[dict[str, object]] = {"sender": "hotline-nl.example", "recipient": "files.example", "epoch": _EPOCH}


def _clear(**members: object) -> dict[str, object]:
    return {"clear": members}


def _reads() -> dict[str, object]:
    read = [("notice_issued", 1), ("notice_withdrawn", 1)]
    messages = [{"name": name, "version": version} for name, version in read]
    return _clear(messages=messages, engines=[2], vocabulary="2d" * 32, guards=["3c" * 16])


ACCEPTED: Final[dict[str, dict[str, object]]] = {
    "reads_announced.v1": {"two-messages": _reads()},
    "marks.v1": {
        "one-hole": _clear(
            sent=[_PAIR | {"last": 4117, "held": 4090}],
            taken=[_PAIR | {"through": 4100, "holes": [[4103, 4103], [4110, 4112]]}],
            asking=True,
            nonce=_NONCE,
        ),
        "nothing-yet": _clear(
            sent=[_PAIR | {"last": 0, "held": 0}], taken=[], asking=False, nonce=_EDGE, answers=_NONCE
        ),
    },
    "wanted.v1": {"one": _clear(ids=[_WANTED])},
    "gone.v1": {
        "numbers-and-an-id": _clear(numbers=[_PAIR | {"spans": [[4103, 4103]]}], ids=[_WANTED]),
    },
    "standing.v1": {
        "the-first-part": _clear(
            held=[
                {"edge_id": _NONCE, "digest": "5a" * 32, "track": 1, "withdrawn": True},
                {"edge_id": _EDGE, "revision": 2, "digest": "4b" * 32, "track": 3, "withdrawn": False},
            ],
            upto=_EDGE,
        ),
        "nothing-is-held": _clear(held=[]),
    },
    "epoch_opened.v1": {
        "after-a-restore": _clear(**_PAIR, previous=_EPOCH_BEFORE, previous_last="unknown"),
        "the-first": _clear(**_PAIR),
    },
}
_EPOCH_IN_CAPITALS = Refusal("epoch-in-capitals", "/clear/epoch", _EPOCH.upper())

REFUSED: Final[dict[str, tuple[Refusal, ...]]] = {
    "reads_announced.v1": (
        Refusal("no-messages", "/clear/messages", []),
        Refusal("name-with-version", "/clear/messages/0/name", "notice_issued.v1"),
        Refusal("message-twice", "/clear/messages/1/name", "notice_issued", by="model"),
        Refusal("edition-in-words", "/clear/vocabulary", "spring"),
    ),
    "marks.v1": (
        Refusal("number-negative", "/clear/sent/0/last", -1),
        Refusal("hole-open", "/clear/taken/0/holes/0", [4103]),
        Refusal("hole-before-through", "/clear/taken/0/holes/0", [4100, 4103], by="model"),
        Refusal("too-many-holes", "/clear/taken/0/holes", [[n, n] for n in range(4103, 4168)]),
        Refusal("too-many-rows", "/clear/sent", [_PAIR | {"last": 1, "held": 1}] * 300, by="model"),
        Refusal("numbering-twice", "/clear/taken", [_PAIR | {"through": 1}] * 2, by="model"),
        Refusal("asking-in-words", "/clear/asking", "yes"),
    ),
    "wanted.v1": (Refusal("nothing-wanted", "/clear/ids", []),),
    "gone.v1": (
        Refusal("spans-out-of-order", "/clear/numbers/0/spans/0", [5, 4], by="model"),
        Refusal("no-spans", "/clear/numbers/0/spans", []),
    ),
    "standing.v1": (
        Refusal("withdrawn-unsaid", "/clear/held/0/withdrawn", GONE),
        Refusal("edges-out-of-order", "/clear/held/1/edge_id", _NONCE, by="model"),
        Refusal("edge-beyond-bound", "/clear/upto", _NONCE, by="model"),
    ),
    "epoch_opened.v1": (
        _EPOCH_IN_CAPITALS,
        Refusal("last-in-words", "/clear/previous_last", "many"),
        Refusal("previous-without-last", "/clear/previous_last", GONE, by="model"),
    ),
}
