"""What every signed document has, and the beat that says which documents are newest.

Documents are read leniently: a member that this release does not know stays in the digest and is ignored, unless the
document names it in `requires`. Values are as strict as anywhere, but for suites and uses of keys. Whoever publishes
checks strictly, since a misspelt member must not be ignored in silence. What stands around a document or a beat is read
so, too; a beat itself is closed, since all of it is signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from inspect import isclass
from typing import Annotated, Any, Self, TypeVar, get_args

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator
from pydantic_core import from_json

from shared.contracts.base import Contract, Day, Digest, GuardEdition, Instant, KeyId, SignatureText, error_locations
from shared.kernel.errors import Refused

Version = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
#: A member of a document by the names that lead to it, list positions left out, for example `rules.hold_window_h`.
MemberPath = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){0,5}$", max_length=246)
]
Requires = Annotated[tuple[MemberPath, ...], Field(max_length=64)]


class SignedDocument(Contract):
    """What directory and policy share.

    `version` only rises: a document whose version is not above the one in force never takes over. `valid_until` is the
    first day on which it should have been replaced; senders decide by it for `grace_days` more, then they wait.
    `requires` names members without which it must not be read.
    """

    version: Version
    issued_on: Day
    valid_until: Day
    grace_days: Annotated[int, Field(strict=True, ge=0, le=366)] = 60
    requires: Requires = ()


class Beat(Contract):
    """Which documents are newest at `at`, each as version and digest. It puts nothing in force."""

    at: Instant
    directory: tuple[Version, Digest]
    policy: tuple[Version, Digest]


class SignedBeat(Contract):
    """A beat with the Ed25519 signature of a beat key of the directory, over `causeway-beat/v1` and the beat."""

    beat: Beat
    key_id: KeyId
    signature: SignatureText


_Document = TypeVar("_Document", bound=SignedDocument)
_REQUIRES: TypeAdapter[tuple[str, ...]] = TypeAdapter(Requires)


def read_leniently(contract: type[_Document], body: bytes) -> _Document:
    """The document whose exact bytes are `body`. What it does not know it leaves out.

    Raises `Refused`: `document_requires_unknown` where it must be known, else `document_invalid`, with the field.
    """
    try:
        stated = from_json(body)
        for number, path in enumerate(_REQUIRES.validate_python(stated.get("requires") or ())):
            if path not in known_members(contract):
                raise Refused("document_requires_unknown", field=f"/requires/{number}")
        return contract.model_validate_json(body, extra="ignore")
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    except (ValueError, AttributeError):
        where = {"rule": "json_invalid", "field": ""}  # its text may quote the document
    raise Refused("document_invalid", where["rule"], field=where["field"])


@lru_cache(8)
def known_members(contract: type[Contract]) -> frozenset[str]:
    """Every member that this release knows in such a document, as `requires` names them."""
    return frozenset(_members(contract, ""))


def _members(contract: type[Contract], above: str) -> Iterator[str]:
    for name, field in contract.model_fields.items():
        yield above + name
        for inner in _contracts_in(field.annotation):
            yield from _members(inner, f"{above}{name}.")


def _contracts_in(annotation: Any) -> Iterator[type[Contract]]:
    if isclass(annotation) and issubclass(annotation, Contract):
        yield annotation
    for argument in get_args(annotation):
        yield from _contracts_in(argument)


#: A message's name without its version (`shared.contracts.registry`).
MessageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,47}$", max_length=48)]


class ReadMessage(Contract):
    """A message and the highest version of it that is read; every lower one is read as well."""

    name: MessageName
    version: Annotated[int, Field(strict=True, ge=1, le=99)]


class ReadsAnnouncedClear(Contract):
    """What an instance reads, told to every peer and to audit at every start. The newest by the broker's time counts.

    `vocabulary` and `guards` name editions by their digests. The directory says the same of who has not spoken yet.
    """

    messages: Annotated[tuple[ReadMessage, ...], Field(min_length=1, max_length=500)]
    engines: Annotated[
        tuple[Annotated[int, Field(strict=True, ge=1, le=1000)], ...], Field(min_length=1, max_length=64)
    ]
    vocabulary: Digest
    guards: Annotated[tuple[GuardEdition, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _each_message_once(self) -> Self:
        if len({each.name for each in self.messages}) != len(self.messages):
            raise ValueError("message_twice")
        return self
