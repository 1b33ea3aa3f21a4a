"""What a service answers over HTTP about the call itself, its key, its state."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "batch_size": Why("the list has no item, or more than one call takes", "send 1 to 100 items in one call"),
    "budget_exceeded": Why(
        "your party has sent more requests than its budget has",
        "wait as many seconds as Retry-After says; causeway does so by itself",
    ),
    "case_is_kept": Why(
        "the case was accepted, and its record cannot be erased without a word",
        "a case that was accepted is kept: say --kept-class, --kept-basis and --kept-until",
    ),
    "close_reason_needs_closed": Why(
        "a reason for closing stands beside another act, or closing has none",
        "--close-reason goes with closed, always, and with nothing else",
    ),
    "cursor_invalid": Why(
        "the cursor is not one of this list, or was changed on its way",
        "begin again without one, and hand back next_cursor as it is",
    ),
    "day_spent": Why(
        "what your party may file in a day is spent",
        "your day's budget is spent: it begins anew at 00:00 UTC; your operator can declare a larger one",
    ),
    "evidence_erased": Why(
        "the evidence went with the record, by retention or by a withdrawal",
        "nothing brings it back: keep evidence (`causeway notice evidence`) while the notice stands",
    ),
    "exercise_mismatch": Why(
        "a live party files an exercise, or a party of the sandbox files no exercise",
        "a party of the sandbox files exercises, a live party none: set exercise accordingly",
    ),
    "external_ref_exists": Why(
        "your party has filed this reference before",
        "it is the same referral: show it, or give the new one another reference (external_ref)",
    ),
    "feed_began_anew": Why(
        "the number is one of an earlier epoch of the feed",
        "is the --state file this party's? Then its numbers begin anew: remove it, and say --from 0",
    ),
    "fields_invalid": Why(
        "one or more fields of the body break a rule",
        "each place is listed with its rule: mend these, and send again under the same key",
    ),
    "forbidden": Why(
        "the role of the key may not do this",
        "the key's role may not: acts of persons take one issued with `causeway key issue --role analyst`",
    ),
    "idempotency_key_malformed": Why("the Idempotency-Key is not of its form", "1 to 64 of A-Z a-z 0-9 . _ -"),
    "idempotency_key_missing": Why(
        "a call that changes something carries no Idempotency-Key",
        "send the header Idempotency-Key, a new one for each act, the same one for each repetition",
    ),
    "idempotency_key_reused": Why(
        "the key was used for another body, or at another path",
        "take a new key for another act; a repetition sends the same JSON to the same path",
    ),
    "internal_error": Why(
        "the service is wrong; nothing of the request has taken effect",
        "send it again under the same key; if it stays, give your operator the Request-Id",
    ),
    "item_action_repeated": Why(
        "the same is said twice of one item", "say each action once per item and round, and disown an item once"
    ),
    "item_answer_contradicts": Why(
        "what is said of an item contradicts what was said, here or before",
        "an item is acted on, rejected or not yours, also beside what was said before",
    ),
    "item_round_unknown": Why(
        "the item has had no such round", "causeway inbox notice ID shows the rounds of its items"
    ),
    "item_unknown": Why(
        "what is said names an item that there is not, or that nothing was asked about",
        "the referral or notice shows the numbers of its items: causeway referral show, inbox show or inbox notice",
    ),
    "items_all_answered": Why(
        "every item of the notice is answered already",
        "nothing is left to do; causeway inbox notice ID shows what was said",
    ),
    "method_not_allowed": Why(
        "the resource is there, but has no such method", "docs/api lists the methods of each path"
    ),
    "not_found": Why(
        "there is nothing at that address that your party may see",
        "is it yours, and is this the service of your kind of party?",
    ),
    "notice_is_kept": Why(
        "the notice was acted on, which can be complained about, or something is preserved",
        "what was acted on is kept: say --kept-class, --kept-basis and --kept-until",
    ),
    "nothing_to_keep": Why(
        "the record was erased before, so it cannot be said to be kept",
        "say that it was erased: the same verb without --kept-class, --kept-basis and --kept-until",
    ),
    "parameter_invalid": Why(
        "a parameter breaks its rule, or the path has no such parameter", "--help of the verb says what it may be"
    ),
    "period_empty": Why("the period ends before it begins", "--since is a day of --until or before it"),
    "period_long": Why("the period is longer than a year", "366 days at most"),
    "purpose_missing": Why(
        "an auditor's look states no purpose, or one that is not of its form",
        "say why you look in 8 to 64 letters, digits, spaces, hyphens; over HTTP in the header Purpose",
    ),
    "role_has_no_key": Why(
        "the role is the instance's own, and nobody holds a key of it",
        "issue a key of a role that people or machines of a party have",
    ),
    "second_person_needed": Why(
        "who filed or proposed it may not also be its second person",
        "somebody else of yours, with a key or session of their own, has to look at it",
    ),
    "state_forbids": Why(
        "the act does not fit the present state", "its state does not allow that, or no longer: show it first"
    ),
    "suggested_unknown": Why(
        "the provider that is suggested stands in no directory",
        "name one as causeway route explain or the directory spells it, or leave it out",
    ),
    "table_too_long": Why(
        "the table has more lines than a page takes",
        "divide it, or import it at the prompt, where a file has no such bound: causeway referral import",
    ),
    "time_ahead": Why(
        "a time is more than five minutes ahead", "give a time that is over, and set your clock if it is"
    ),
    "unauthenticated": Why(
        "no API key came, or none that opens",
        "the key is wrong or revoked, or its party is served elsewhere now: ask your operator for one",
    ),
    "webhook_address_refused": Why(
        "the name of the webhook leads to an address that is not public", "let the name lead to public addresses alone"
    ),
    "webhook_name_unresolved": Why(
        "the name of the webhook leads nowhere now", "look whether its name resolves; it is tried again"
    ),
    "webhook_number_unknown": Why(
        "the feed has no such number", "causeway webhook list shows how far it is, and the last number of your feed"
    ),
    "webhook_removed": Why(
        "the webhook was removed, and its secrets are erased", "register it anew, under another Idempotency-Key"
    ),
    "webhook_url_refused": Why(
        "the address of the webhook is not of the form that is called",
        "https, a public name, port 443 or 8443: docs/webhooks.md says what else",
    ),
    "webhooks_full": Why(
        "your party has as many webhooks as it may", "causeway webhook remove ID, of one that you do not need"
    ),
}
