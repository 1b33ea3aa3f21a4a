"""Why a line of many is refused, and what whoever sent it does about that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final[Mapping[str, Why]] = {
    "act_unknown": Why("no act of this subject has such a name", "docs/bulk.md and --help list the acts of each"),
    "beside_refused": Why(
        "another line about the same subject is refused, and what is said of one subject is taken or refused whole",
        "mend that other line, and send both",
    ),
    "cell_missing": Why("a line has nothing in a column that it needs", "docs/bulk.md says what each act needs"),
    "cell_not_id": Why("a cell is no id", "causeway inbox and causeway inbox notices list the ids"),
    "cell_not_of_act": Why(
        "a line says something that its act does not take",
        "leave the cell empty: docs/bulk.md says what each act takes",
    ),
    "line_repeated": Why("two lines do the same to one subject", "leave one of them out"),
}
