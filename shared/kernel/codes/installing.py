"""What is said where an installation is made and its documents are signed."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "address_unfit": Why("an address is not of its form", "as is said, for the option that is named"),
    "approval_malformed": Why("the file is no approval", "what `causeway document sign` has written"),
    "approver_name_unfit": Why("an approver cannot be called so", "as a party is called: approver-one.example"),
    "card_malformed": Why("the file is no card", "what its instance or its approver has made, as it was made"),
    "card_of_another_key": Why("the card beside the key names another key", "put the key and its own card together"),
    "draft_altered": Why(
        "the draft says another digest than its document has",
        "ask for the draft again, and compare the digest by voice",
    ),
    "draft_malformed": Why("the file is no draft", "what `causeway document draft` has written"),
    "draft_of_another_digest": Why(
        "the draft's digest is not the one that was to be signed",
        "see what it says, `causeway document show`, and compare its digest by voice",
    ),
    "folder_in_use": Why("something is there already, and is not written over", "name a new one"),
    "instance_name_unfit": Why(
        "the instance is called as one of another kind", "`audit` is the name of audit's, alone"
    ),
    "key_there": Why(
        "there is a key of this name, and another would make unreadable what it protects",
        "keep it; to replace a key that is in use, see docs/guides/operator.md",
    ),
    "postgres_too_old": Why("the PostgreSQL server is of a version without `uuidv7()`", "version 18 or later"),
    "parties_malformed": Why("the list of parties breaks its form", "each party as a directory has it"),
}
