"""Cards: what an instance or an approver hands over about itself. They hold no secret; who trusts one has compared it.

Whoever can exchange a card on its way can put their own key in place of another's: key ids are compared by voice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

from pydantic import StringConstraints, ValidationError

from deploy.site.kinds import kind_serving
from shared.contracts.base import Contract, error_locations
from shared.contracts.directory import Instance
from shared.kernel.errors import Refused
from shared.runtime.kafka.documents import ApproverKeyText

#: An address for parties: https, or plain http where it is on this machine.
ADDRESS: Final = r"(https://[A-Za-z0-9.-]{1,253}|http://(127\.[0-9.]{5,11}|localhost|\[::1\]))(:[0-9]{1,5})?"
Address = Annotated[str, StringConstraints(pattern=f"^{ADDRESS}$", max_length=270)]
_Card = TypeVar("_Card", bound=Contract)


class Card(Contract):
    """An instance as its operator states it: its entry for the directory, and its address for parties."""

    instance: Instance
    url: Address

    @property
    def service(self) -> str:
        """The kind of service that it is."""
        return kind_serving(self.instance.kind)

    def renewed(self, later: Card) -> Self:
        """With the address and the kind of a later card, and its keys beside those that were known."""
        held = {key.key_id: key for key in (*self.instance.keys, *later.instance.keys)}
        instance = later.instance.model_copy(update={"keys": tuple(held.values())})
        return self.model_copy(update={"instance": instance, "url": later.url})

    def text(self) -> str:
        """As its file has it."""
        return self.model_dump_json(exclude_none=True, indent=2) + "\n"


ApproverCard = ApproverKeyText


def read_card(file: Path) -> Card:
    """Raises `Refused("card_malformed")`, with the field."""
    return _read(Card, file)


def read_approver_card(file: Path) -> ApproverCard:
    """Raises `Refused("card_malformed")`, with the field."""
    return _read(ApproverCard, file)


def _read(contract: type[_Card], file: Path) -> _Card:
    try:
        return contract.model_validate_json(file.read_bytes())
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    except OSError:
        raise Refused("file_unusable", "the file of a card", status=400) from None
    raise Refused("card_malformed", where["rule"], field=where["field"], status=400)
