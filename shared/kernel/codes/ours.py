"""What is our own mistake: it stops one thing and raises an alarm, and no input alone causes it."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "aside_defect": Why("what runs beside the service failed", "report it with the log of the service"),
    "batch_too_large": Why("more messages were signed together than may be", "report it with the log of the service"),
    "edge_without_recipient": Why("an edge names nobody", "report it with the log of the service"),
    "evidence_of_another": Why("evidence was to be made of another's notice", "report it with the log of the service"),
    "example_without_origin": Why("an example has no origin", "mend the example"),
    "facts_incomplete": Why("a decision was asked for without its facts", "report it with the log of the service"),
    "index_outside_tree": Why(
        "an entry was asked for that the tree does not have", "report it with the log of the service"
    ),
    "line_feed_in_header": Why(
        "a header was to be stored with a line feed in it", "report it with the log of the service"
    ),
    "nobody_sends": Why(
        "a transaction put something into the outbox of an instance that has no relay",
        "report it with the log of the service",
    ),
    "schema_name_taken": Why("two models of one door have the same name", "give one of them another"),
    "scope_malformed": Why(
        "a transaction was to be bound to something that is no party", "report it with the log of the service"
    ),
    "sealed_part_missing": Why("an item has no sealed part", "report it with the log of the service"),
    "sealed_words_without_place": Why(
        "an answer has words that no column has a place for", "report it with the log of the service"
    ),
    "shares_below_100": Why("the shares of a sandbox party's behaviour do not add up", "let them add up to 100"),
    "size_outside_tree": Why("a size was asked for that the tree never had", "report it with the log of the service"),
    "transaction_aborted": Why(
        "a transaction was to be used after it had failed", "report it with the log of the service"
    ),
}
