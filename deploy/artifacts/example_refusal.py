"""How a refused example is stated: one thing changed in an accepted one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

#: Who refuses: the published schema; the model, for what no schema can say of several fields together; the guard;
#: the indexes of directory and policy, for what concerns the whole document.
RefusedBy = Literal["schema", "model", "guard", "index"]
#: Takes the value away.
GONE: Final = object()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An accepted example with the value at `pointer` replaced, or taken away. `code` and `field` answer it."""

    slug: str
    pointer: str
    value: Any
    by: RefusedBy = "schema"
    code: str = ""
    field: str | None = None
    of: str = ""
