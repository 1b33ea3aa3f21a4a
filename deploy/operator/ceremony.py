"""New private keys, one at a time: of an instance, in its state directory; of an approver, in a folder of its own.

A public half is printed for whoever puts the directory together; an instance's card, where there is one, has it too.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from deploy.operator.cards import ApproverCard, read_card
from deploy.operator.folder import CARD
from deploy.site.endpoints import write_private
from deploy.site.installation import Installation
from deploy.site.key_files import (
    KEK,
    OPENING,
    SIGNING,
    make_once,
    new_kek,
    sealing_entry,
    signing_entry,
)
from deploy.site.open import Site
from shared.contracts.directory import PublicKey
from shared.envelope.keys import OpeningKey, SigningKey
from shared.kernel.errors import Refused

#: What a key of an instance is for.
InstanceUse = Literal["sign", "seal"]


def make_instance_key(site: Site, instance: str, use: InstanceUse, *, valid_from: datetime) -> tuple[Path, PublicKey]:
    """Make a key of an instance; the file that holds it, and its entry for the directory.

    A signing key lies beside the one in use until it is put in its place; an opening key is used from the next start
    on, with those that are there. Raises `Refused` for a key of that name that nobody has put into place yet.
    """
    folder = _keys_of(site, instance)
    if use == "sign":
        signing = SigningKey.generate()
        path, secret = folder / (f"{SIGNING}.next" if (folder / SIGNING).exists() else SIGNING), signing.secret_text()
        public = signing_entry(signing.verify_key, valid_from=valid_from)
    else:
        opening = OpeningKey.generate()
        seal = opening.sealing_key
        beside = f"opening-{seal.key_id[-12:]}.key" if (folder / OPENING).exists() else OPENING
        path, secret = folder / beside, opening.secret_text()
        public = sealing_entry(seal, valid_from=valid_from)
    if path.exists():
        raise Refused("key_waits", "put the key that was made before into its place first", status=400)
    write_private(path, secret)
    _told(site, instance, public)
    return path, public


def make_kek(site: Site, instance: str) -> Path:
    """Make the key that wraps an instance's data keys, where there is none; its file.

    Raises `Refused("key_there")`: another in its place would leave what the database holds unreadable.
    """
    path = _keys_of(site, instance) / KEK
    if path.exists():
        raise Refused("key_there", status=400)
    make_once(path, new_kek)
    return path


def make_approver_key(folder: Path, approver: str) -> tuple[Path, ApproverCard]:
    """Make an approver's key and card in a folder of theirs; the key's file, and the card. Raises `Refused`."""
    key = SigningKey.generate()
    card = _card(approver, key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{approver}.key"
    if path.exists():
        raise Refused("key_there", status=400)
    write_private(path, key.secret_text())
    path.with_suffix(".json").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path, card


def _card(approver: str, key: SigningKey) -> ApproverCard:
    try:
        return ApproverCard(approver=approver, key_id=key.key_id, public=key.verify_key.text())
    except ValueError:
        raise Refused("approver_name_unfit", "as a party is called: approver-one.example", status=400) from None


def _keys_of(site: Site, instance: str) -> Path:
    folder = Installation(site.state).keys_dir(instance)
    if not folder.is_dir():
        raise Refused("instance_unknown", "it has no keys in this state directory", status=400)
    return folder


def _told(site: Site, instance: str, public: PublicKey) -> None:
    """The card says it too, for `install admit`."""
    file = site.state / CARD
    if file.exists() and (card := read_card(file)).instance.id == instance:
        entry = card.instance.model_copy(update={"keys": (*card.instance.keys, public)})
        write_private(file, card.model_copy(update={"instance": entry}).text())
