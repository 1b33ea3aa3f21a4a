"""No content: what a record can carry is bounded by what it costs under one public code.

    parse_body   L0  what a body must be before anything looks at its meaning      envelope_limits
    (schema)     L1  closed models                                                 shared/contracts
    as_kept      L3  one spelling of each address, without what expires or tracks  keep, canonical, templates
    inspect      L2  what a value of each kind must look like                      rules
                 L4  what all values together cost                                 charge, leaves, budget

Spelling, templates and model are of an `edition`, which each message names: old ones are read for ever.
Nothing recognises encodings: by Kraft's inequality no encoding carries more than it is charged.
"""

from __future__ import annotations

from shared.guard.budget import ADDED, BUDGET, CEILING, Charged, Limits, check_budget
from shared.guard.edition import edition
from shared.guard.envelope_limits import SEALED_NODES_MAX, opens_list, parse_body, parse_list
from shared.guard.inspect import ALL_STAGES, Stage, cost, inspect
from shared.guard.tripwire import trips, trips_by_part
from shared.guard.url_redaction import WasCut, as_kept, cuts, kept_locator

__all__ = [
    "ADDED",
    "ALL_STAGES",
    "BUDGET",
    "CEILING",
    "SEALED_NODES_MAX",
    "Charged",
    "Limits",
    "Stage",
    "WasCut",
    "as_kept",
    "check_budget",
    "cost",
    "cuts",
    "edition",
    "inspect",
    "kept_locator",
    "opens_list",
    "parse_body",
    "parse_list",
    "trips",
    "trips_by_part",
]
