"""Two releases made of this one, told apart by one code list each way, one member, one header and one message.

    N      this code; what is listed in `NEW` counts as its newest edition's or version's
    N−1    this code without it: taken away before anything that looks at it is imported

Both are patched in their own process alone, by `tests.skew.release`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from pydantic import create_model

from shared.vocabulary import answers, referral
from shared.vocabulary.code import Code


class Release(StrEnum):
    """Which of the two a process is."""

    BEFORE = "before"
    AFTER = "after"


#: One code of what origins send, one of what recipients answer.
NEW_CODES: Final[Sequence[tuple[type[Code], str]]] = (
    (referral.IncidentFlag, "VIRAL"),
    (answers.NoticeRejection, "TECHNICAL"),
)
#: A member of a referral's record that may be left out: `referral_offered` version 2 has it, version 1 has no place.
NEW_MEMBER: Final = "correlations"
#: A header on every message of N. N−1 covers what it does not know, and ignores it.
NEW_HEADER: Final = ("ce_xrelease", "after")
#: A message that N−1 has never heard of.
NEW_MESSAGE: Final = "outcome_reported"


def become(release: Release) -> None:
    """Make this process one of the two. Nothing else of the product may have been imported before."""
    new = frozenset(f"{kind.__name__}:{kind[name].value}" for kind, name in NEW_CODES)
    if release is Release.BEFORE:
        for kind, name in NEW_CODES:
            _take_code(kind, name)
    _grow_versions(release)
    from shared.vocabulary import edition

    if release is Release.AFTER:
        edition.ADDED = (new,)  # type: ignore[misc]
        _add_header()


def _take_code(kind: type[Code], name: str) -> None:
    member = kind._member_map_.pop(name)
    kind._member_names_.remove(name)
    kind._value2member_map_.pop(member.value)
    type.__delattr__(kind, name)


def _grow_versions(release: Release) -> None:
    """Version 1 of `referral_offered` has no place for the new member; only N has version 2, and the new message."""
    from shared.contracts import referral as contracts

    before = _without(contracts.ReferralRecord, NEW_MEMBER)
    sealed_before = create_model("ReferralOfferedSealed", __base__=contracts.EdgeSealed, record=(before, ...))
    if release is Release.BEFORE:
        setattr(contracts, "ReferralRecord", before)  # noqa: B010 - a module's names are not meant to be changed
        setattr(contracts, "ReferralOfferedSealed", sealed_before)  # noqa: B010
    from shared.contracts import registry

    if release is Release.BEFORE:
        read = tuple(message for message in registry.ALL if message.name != NEW_MESSAGE)
    else:
        first = replace(registry.REFERRAL_OFFERED, sealed=sealed_before)
        second = replace(registry.REFERRAL_OFFERED, version=2)
        setattr(registry, "REFERRAL_OFFERED", second)  # noqa: B010
        read = (first, *(second if message.name == first.name else message for message in registry.ALL))
    setattr(registry, "ALL", read)  # noqa: B010
    registry.BY_TYPE.clear()
    registry.BY_TYPE.update({message.type: message for message in read})
    setattr(registry, "NAMES", frozenset(message.name for message in read))  # noqa: B010
    if release is Release.BEFORE:
        from shared.exchange import minimise

        kept = {
            kind: tuple(name for name in names if name != NEW_MEMBER) for kind, names in minimise.RECORD_FIELDS.items()
        }
        setattr(minimise, "RECORD_FIELDS", kept)  # noqa: B010


def _without(model: type[Any], name: str) -> type[Any]:
    """The same closed model with one member less."""
    fields: dict[str, Any] = {
        each: (field.annotation, field) for each, field in model.model_fields.items() if each != name
    }
    made: type[Any] = create_model(model.__name__, __base__=model.__mro__[2], **fields)
    return made


def _add_header() -> None:
    """Every message that N signs has one header more."""
    from shared.runtime.post import stamping

    made: Callable[..., Any] = stamping.Attributes  # type: ignore[attr-defined]

    def with_header(*given: Any, **named: Any) -> Any:
        attributes = made(*given, **named)
        return replace(attributes, extensions=(*attributes.extensions, NEW_HEADER))

    setattr(stamping, "Attributes", with_header)  # noqa: B010


#: What a control takes away, in the process of one release. Each must make its promise fail.
Control = Callable[[], None]


def deferral_off() -> None:
    """What cannot be read is refused, as a release before this format did."""
    from shared.exchange import record_table
    from shared.exchange.record_table import RECORD_TABLE, Fate

    for code, row in list(RECORD_TABLE.items()):
        if row.fate is Fate.DEFER:
            record_table.RECORD_TABLE[code] = replace(row, fate=Fate.REFUSE)


def announcements_ignored() -> None:
    """Nobody is asked what it reads: everything is written as if all read all."""
    from shared.exchange import reads

    own = reads.Reads.of(reads.own_reads())
    setattr(reads.PeerReads, "of", lambda *_: own)  # noqa: B010


CONTROLS: Final[Mapping[str, Control]] = {
    control.__name__: control for control in (deferral_off, announcements_ignored)
}
