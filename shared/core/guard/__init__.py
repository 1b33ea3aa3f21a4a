"""The guard: it limits the information that a record can carry by its cost under one public code.

    parse_body   L0  the form of a body, before its content is parsed              envelope_limits
    (schema)     L1  closed models                                                 shared/core/contracts
    as_kept      L3  addresses as read, without expiring or tracking parts         url_redaction, canonical, templates
    inspect      L2  the form of each kind of value                                rules
                 L4  the cost of all values together                               charge, leaves, budget

Canonical form, templates and model belong to an `edition`, which each message names. Old editions are read forever.
The guard does not detect encodings: by Kraft's inequality no encoding carries more information than its cost.
"""

from __future__ import annotations

from shared.core.guard.budget import ADDED, BUDGET, CEILING, Limits, RecordCost, check_budget
from shared.core.guard.edition import edition
from shared.core.guard.envelope_limits import SEALED_NODES_MAX, opens_list, parse_body, parse_list
from shared.core.guard.inspect import cost, inspect
from shared.core.guard.tripwire import trips, trips_by_part
from shared.core.guard.url_redaction import Redaction, as_kept, cuts, kept_locator, read_each, respelled, stored_form

__all__ = [
    "ADDED",
    "BUDGET",
    "CEILING",
    "SEALED_NODES_MAX",
    "Limits",
    "RecordCost",
    "Redaction",
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
    "read_each",
    "respelled",
    "stored_form",
    "trips",
    "trips_by_part",
]
