"""The rule of contact suggestions: both agencies have opted in. Pure."""

from __future__ import annotations

from collections.abc import Callable

from shared.core.errors import Refused
from shared.core.protocol.message import Received
from shared.core.routing.directory_index import DirectoryIndex
from shared.features.contacts.contract import CONTACT_SUGGESTED, Contact


def check_contact(message: Received, directory: Callable[[], DirectoryIndex]) -> None:
    """Check that both agencies of a contact suggestion have opted in: the receiving one and the named one.

    The recipient checks this, as it need not trust the origin. Other messages pass. Raises `Refused`:
    `contact_names_nobody`, `contact_not_agreed`.
    """
    if message.message is not CONTACT_SUGGESTED:
        return
    contact = message.sealed
    if not isinstance(contact, Contact) or contact.agency == message.recipient:
        raise Refused("contact_names_nobody", "no other agency is named", field="/sealed/agency")
    if not {message.recipient, contact.agency} <= directory().contactable:
        raise Refused("contact_not_agreed", "both agencies must have opted in", field="/sealed/agency")
