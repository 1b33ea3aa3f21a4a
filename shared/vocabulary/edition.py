"""One name for all code lists at one time: two releases of one edition read each other's codes."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from shared.vocabulary import answers, judgement, law, proofs, referral, routing
from shared.vocabulary.code import Code

#: Every module whose lists travel in messages.
_MODULES = (answers, judgement, law, proofs, referral, routing)


@lru_cache(1)
def edition() -> str:
    """SHA-256, in hexadecimal, over the sorted lines `list code` of every code list."""
    lines = {
        f"{name} {code.value}\n"
        for module in _MODULES
        for name, codes in vars(module).items()
        if isinstance(codes, type) and issubclass(codes, Code)
        for code in codes
    }
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
