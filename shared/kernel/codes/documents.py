"""What a directory, a policy or an approval is refused for before it can count."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "active_from_past": Why("the document is to count from a time that is over", "give a time ahead of now"),
    "approval_invalid": Why(
        "an approval is not the approver's signature over this document", "sign the very document again"
    ),
    "approver_keys_unreadable": Why(
        "the list of approvers is not of its form", "a JSON list of objects with approver, key_id, public"
    ),
    "approver_unknown": Why(
        "an approval names a key that is another approver's here, or at the desk nobody's",
        "compare APPROVER_KEYS_FILE with who signs",
    ),
    "approvers_too_few": Why(
        "fewer approvers than two that are known here have signed",
        "let another approver sign, with a key of their own; compare APPROVER_KEYS_FILE with who signs",
    ),
    "beat_key_missing": Why(
        "the key that signs the beat is not there",
        "`beat.key` of the state directory, named in the directory's `beat_keys`",
    ),
    "beat_key_unknown": Why(
        "the beat is signed by a key that the directory does not list", "list it in the directory's `beat_keys`"
    ),
    "beat_malformed": Why("the beat is not of its form", "whoever writes to the directory's topic looks at it"),
    "beat_signature_invalid": Why(
        "the beat is not signed by the key that it names", "whoever writes to the directory's topic looks at it"
    ),
    "beat_time_off": Why("the beat is dated too far from the broker's time", "set the clock of who signs it (NTP)"),
    "calendar_missing": Why(
        "a clock counts working days where no calendar is listed", "list a calendar of that jurisdiction"
    ),
    "calendar_repeated": Why("two calendars of a jurisdiction overlap", "let one end where the other begins"),
    "calendar_without_work": Why("a calendar has no working day", "list its working weekdays"),
    "clock_repeated": Why("two clocks have one id", "give each its own"),
    "clock_repeats_nothing": Why(
        "a clock repeats, but has no duration in hours", "give it duration_h, or let it not repeat"
    ),
    "clock_term_not_one": Why(
        "a clock has none or several of duration_h, working_days and promptness", "give exactly one"
    ),
    "directory_id_repeated": Why("two entries of the directory have one id", "give each its own"),
    "directory_instance_mismatched": Why(
        "a party is served by an instance that is not of its kind, or not there", "name an instance of its kind"
    ),
    "directory_party_key_seals": Why(
        "a party has a sealing key; messages are sealed for instances", "list it with its instance"
    ),
    "document_invalid": Why("the document breaks its schema", "the field and its rule are named"),
    "document_malformed": Why(
        "what was published is no signed document",
        "publish with `causeway directory publish` or `causeway policy publish`",
    ),
    "document_requires_unknown": Why(
        "the document demands something that this version does not do", "install the version that does"
    ),
    "document_version_not_above": Why("a document of this version, or a later one, was published", "raise its version"),
    "end_too_far": Why(
        "a document, rule or entry ends later than is allowed", "let it end earlier, and issue it anew in time"
    ),
    "hold_of_nothing": Why("a prohibition has a window for a hold", "leave hold_window_h out"),
    "holiday_outside_span": Why("a holiday lies outside of its calendar", "move it, or the calendar's ends"),
    "holidays_unsorted": Why("the holidays are not in order, or repeat", "list each once, by date"),
    "instrument_not_listed": Why(
        "a rule or an entry cites an instrument that is not listed", "list it under `instruments`"
    ),
    "instrument_not_yet_in_force": Why("a rule begins before its instrument does", "let it begin with the instrument"),
    "instrument_over": Why("a rule cites an instrument that is over", "cite what succeeded it, or let the rule end"),
    "instrument_repeated": Why("an instrument is listed twice", "list it once"),
    "jurisdiction_unknown": Why(
        "the tree of jurisdictions has no such code on that day", "compare with shared/vocabulary"
    ),
    "never_in_force": Why("it ends before it begins", "look at valid_from and valid_to"),
    "over_at_issue": Why("the document is over when it is issued", "let valid_until lie ahead"),
    "prohibition_without_end": Why(
        "a prohibition has neither an end nor a day of review", "give it valid_to or review_by"
    ),
    "review_overdue": Why(
        "a day of review is over when the document is issued", "review the rule, then set the next day"
    ),
    "review_too_far": Why("a day of review is too far ahead", "set an earlier one"),
    "reviewed_after_issue": Why(
        "an entry was reviewed after the document was issued", "look at reviewed_on and issued_on"
    ),
    "rule_dates_a_notice": Why(
        "a rule of a notice reads a time that its recipient must not learn", "leave that fact out of `reads`"
    ),
    "rule_incomplete": Why("a rule lacks what its effect needs", "compare it with docs/law.md"),
    "rule_mismatched": Why("a rule's condition or selection does not fit its effect", "compare it with docs/law.md"),
    "rule_node_unknown": Why(
        "a rule names a jurisdiction that the tree does not have", "compare with shared/vocabulary"
    ),
    "rule_reads_others": Why("a rule reads facts that its recipient must not learn", "leave them out of `reads`"),
    "rule_reads_undeclared": Why("a rule reads a fact that it does not declare", "list it in `reads`"),
    "rule_repeated": Why("two rules have one id", "give each its own"),
    "succession_cyclic": Why("instruments succeed each other in a circle", "look at succeeded_by"),
}
