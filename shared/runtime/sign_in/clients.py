"""What an instance is at each party's provider: a file of its operator's, read once, which others cannot read.

[{"party": "police-nl.example", "issuer": "https://login.police.example", "client_id": "...", "client_secret": "..."}]
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, TypeAdapter, ValidationError

from shared.contracts.base import Contract, PartyId
from shared.kernel.errors import Refused

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def checked_address(text: str) -> str:
    """An https address without user, query or fragment; http at this machine alone. Raises `ValueError`."""
    parts = urlsplit(text)
    schemes = ("http", "https") if parts.hostname in _LOOPBACK else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an https address")
    return text


def is_here(address: str) -> bool:
    """Whether an address is one of this machine."""
    return urlsplit(address).hostname in _LOOPBACK


Word = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
Address = Annotated[str, StringConstraints(max_length=255), AfterValidator(checked_address)]


class Client(Contract):
    """What this instance is at the provider of one party.

    Without `client_secret` it proves itself by PKCE alone. With `acr` a record is opened to those alone who have proven
    who they are in that way (OpenID Connect Core, §2).
    """

    party: PartyId
    issuer: Address
    client_id: Word
    client_secret: SecretStr | None = None
    acr: Word | None = None


_CLIENTS = TypeAdapter(Annotated[tuple[Client, ...], Field(max_length=1000)])


def read_clients(text: str) -> tuple[Client, ...]:
    """Raises `Refused("sign_in_file_malformed")`, naming the first member that breaks a rule; for a party twice too."""
    try:
        clients = _CLIENTS.validate_json(text)
    except ValidationError as error:
        pointer = "/" + "/".join(str(each) for each in error.errors()[0]["loc"])
        raise Refused("sign_in_file_malformed", "see docs/sign-in.md", field=pointer) from None
    if len({each.party for each in clients}) < len(clients):
        raise Refused("sign_in_file_malformed", "a party stands twice", field="/party")
    return clients
