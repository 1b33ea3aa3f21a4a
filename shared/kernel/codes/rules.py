"""What a person does about the rule that a field breaks; those that say all by their name have no entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RULES: Final[Mapping[str, str]] = {
    "answer_needs_its_own_word": "each answer goes with a word of its own, and with no other",
    "enum": "not one of the codes that docs/api lists for it",
    "extra_forbidden": "a member that docs/api does not have there",
    "instant_form": "RFC 3339 with an offset, to the second, as 2026-03-15T12:00:00Z",
    "day_form": "a day, as 2026-03-15",
    "string_pattern_mismatch": "characters that are not allowed there: docs/api has the pattern",
    "term_or_until": "a term or a last day, and not both",
    "too_long": "more entries than docs/api allows",
    "too_short": "fewer entries than docs/api demands",
    "unknown_parameter": "the path has no such parameter: docs/api lists those that it has",
    "uuid_form": "a UUID in lower case, as every list shows it",
}
