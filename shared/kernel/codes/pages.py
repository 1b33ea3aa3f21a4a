"""Codes that the pages of a console show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final[Mapping[str, Why]] = {
    "day_malformed": Why("what stands for a day is none", "write it as 2026-05-04"),
    "external_ref_repeated": Why(
        "an earlier line of the table has the same reference", "give each line a reference of its own"
    ),
    "form_foreign": Why(
        "a form came from another place than a page of this session",
        "open the page anew and send its form from there",
    ),
    "form_malformed": Why("what came is no form, or has too many fields", "open the page anew and send its form"),
    "form_type": Why("a form is of another type than browsers send", "send it from the page that has it"),
    "nothing_amended": Why("an amendment says nothing that is to be otherwise", "fill in what is to be otherwise"),
    "nothing_chosen": Why("nothing of the list is ticked, or too much", "tick 1 to 25 of the list"),
    "reason_missing": Why("no reason is chosen, or one that is not of the list", "choose one of the list"),
    "proof_too_old": Why(
        "who opens a record has proven who they are within the last 15 minutes, and you have not",
        "sign in again by the link on the page, then open it",
    ),
    "reference_malformed": Why(
        "what is looked for is no id", "give the id of a referral, notice or message, as the flow shows them"
    ),
    "sign_in_expired": Why(
        "what your provider answered fits nothing that this browser has begun within ten minutes",
        "sign in anew, in one window, from the address of your organisation",
    ),
    "sign_in_refused": Why(
        "your organisation's provider has not confirmed who you are, or not to this service",
        "sign in anew; where it stays so, whoever runs this service compares its sign-in file with your provider",
    ),
    "sign_in_unavailable": Why(
        "the provider of your organisation does not answer, or does not say what it must",
        "try again; where it stays so, tell whoever runs your provider",
    ),
}
