"""No content: keeps files out of the metadata, and measures how well.

    parse_body   L0  what a body must be before anything looks at its meaning      envelope_limits
    (schema)     L1  closed models                                                 shared/contracts
    inspect      L2  what a value of each kind must look like                      rules
                 L4  how many bytes a record could carry                           capacity, tokens
                 L3  whether a value, or several together, decode to a file        recognise, decodings, signatures

Recognition is an arms race; the budgets of L4 are the guarantee.
"""

from __future__ import annotations

from shared.guard.capacity import Capacity
from shared.guard.edition import edition
from shared.guard.envelope_limits import SEALED_NODES_MAX, parse_body, parse_list
from shared.guard.inspect import ALL_STAGES, Stage, capacity, inspect
from shared.guard.item_bytes import item_bytes
from shared.guard.schema_audit import audit_schema

__all__ = [
    "ALL_STAGES",
    "SEALED_NODES_MAX",
    "Capacity",
    "Stage",
    "audit_schema",
    "capacity",
    "edition",
    "inspect",
    "item_bytes",
    "parse_body",
    "parse_list",
]
