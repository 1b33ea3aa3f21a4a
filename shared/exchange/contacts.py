"""Whether two agencies may be told of each other: both have opted in, by the directory in force. Pure."""

from __future__ import annotations

from collections.abc import Callable

from shared.contracts.passing import Contact
from shared.contracts.registry import CONTACT_SUGGESTED
from shared.exchange.message import Received
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex


def check_contact(message: Received, directory: Callable[[], DirectoryIndex]) -> None:
    """Whoever is told checks that it is to be: an origin must not say it to who has not opted in, nor of who has not.

    Raises `Refused`: `contact_names_nobody`, `contact_not_agreed`. Of other messages nothing is asked.
    """
    if message.message is not CONTACT_SUGGESTED:
        return
    contact = message.sealed
    if not isinstance(contact, Contact) or contact.agency == message.recipient:
        raise Refused("contact_names_nobody", "no other agency is named", field="/sealed/agency")
    if not {message.recipient, contact.agency} <= directory().contactable:
        raise Refused("contact_not_agreed", "both agencies must have opted in", field="/sealed/agency")
