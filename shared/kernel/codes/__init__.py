"""Every code of an error: its cause and its mend. Here alone; problems, the prompt and docs/errors.md say it from here.

A code is stable and public. Which of them a place may raise stands at that place; a test finds each in the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.kernel.codes import (
    agencies,
    answers,
    bulk,
    changes,
    client,
    documents,
    door,
    guard,
    holds,
    installing,
    operator,
    ours,
    pages,
    preservation,
    proofs,
    questions,
    records,
    transfers,
    waits,
)
from shared.kernel.codes.why import Why

#: What the codes of a family are about, in the order in which a reader meets them.
FAMILIES: Final[Mapping[str, Mapping[str, Why]]] = {
    "Answers of a service": door.WHYS,
    "Holds": holds.WHYS,
    "Officers and agencies": agencies.WHYS,
    "Transfers": transfers.WHYS,
    "Questions and disputes": questions.WHYS,
    "What is said of items": answers.WHYS,
    "Many acts at once": bulk.WHYS,
    "What is amended and rerouted": changes.WHYS,
    "Not now": waits.WHYS,
    "On the pages of a console": pages.WHYS,
    "What a body is refused for": guard.WHYS,
    "What agencies want kept": preservation.WHYS,
    "At a party's prompt": client.WHYS,
    "Proofs": proofs.WHYS,
    "Records of Kafka": records.WHYS,
    "Directory, policy, approvals": documents.WHYS,
    "At the operator's prompt": operator.WHYS,
    "At an installation": installing.WHYS,
    "Our own mistakes": ours.WHYS,
}
WHYS: Final[Mapping[str, Why]] = {code: why for family in FAMILIES.values() for code, why in family.items()}


def mend_of(code: str) -> str | None:
    """What whoever reads the code does about it; None for a code that is not of this version."""
    why = WHYS.get(code)
    return None if why is None else why.mend
