"""Why a referral is not amended or rerouted, and what whoever wants it does about that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final[Mapping[str, Why]] = {
    "external_ref_differs": Why(
        "an amendment has another reference than the referral", "say the reference under which it was filed"
    ),
    "header_invalid": Why("`If-Match` names no revision", 'a number in quotes: If-Match: "1"'),
    "if_match_needed": Why(
        "an amendment does not say which revision it is of",
        'look at the referral, and name its revision: If-Match: "1"',
    ),
    "items_exhausted": Why("a referral has had 99 items", "withdraw it, and file another"),
    "nobody_left": Why(
        "nobody would have an amended referral any more", "mend what is named, or withdraw the referral"
    ),
    "nothing_disowned": Why(
        "the provider of a notice has disowned nothing that is still asked of it", "withdraw or amend the referral"
    ),
    "provider_needed": Why("whoever disowned an item named nobody", "name a provider of the directory who hosts it"),
    "provider_unknown": Why(
        "the directory has no such other provider", "name another of its providers; docs/changes.md says which"
    ),
    "purpose_cannot_end": Why(
        "one of a recipient's purposes would end, and others not", "withdraw the referral, and file another"
    ),
    "recipient_taken_back": Why(
        "a referral was taken back from a recipient who would get it again", "file another referral"
    ),
    "revision_changed": Why(
        "somebody has amended a referral meanwhile", "look at it again, and amend the revision that stands"
    ),
}
