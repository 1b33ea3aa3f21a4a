"""The private keys of an installation as files, each made once, and the public half of each.

    keys/<instance>/   signing.key opening.key kek.key   of an instance
    beat.key           the operator's: says which documents are newest
    <approver>.key     an approver's, in a folder of its own, nowhere else

Mode 0600 in folders of mode 0700. Whoever can read one acts as whose it is.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from deploy.site.endpoints import write_private
from shared.contracts.directory import PublicKey
from shared.envelope.keys import OpeningKey, SealingKey, SigningKey, VerifyKey

SIGNING: Final = "signing.key"
OPENING: Final = "opening.key"
KEK: Final = "kek.key"


def new_signing_key() -> str:
    """The text of a new Ed25519 key."""
    return SigningKey.generate().secret_text()


def new_opening_key() -> str:
    """The text of a new key to open with."""
    return OpeningKey.generate().secret_text()


def new_kek() -> str:
    """The text of 256 new bits to wrap data keys with."""
    return b64encode(secrets.token_bytes(32)).decode()


def make_once(path: Path, secret: Callable[[], str]) -> None:
    """Write a new secret, unless there is one."""
    if not path.exists():
        write_private(path, secret())


def make_instance_keys(folder: Path) -> None:
    """Make the folder, and whichever of an instance's three keys it lacks."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_once(folder / SIGNING, new_signing_key)
    make_once(folder / OPENING, new_opening_key)
    make_once(folder / KEK, new_kek)


def public_keys(folder: Path, *, valid_from: datetime) -> tuple[PublicKey, PublicKey]:
    """The public halves of an instance's signing key and of its first opening key, as a directory names them."""
    signing = SigningKey.load((folder / SIGNING).read_text(encoding="ascii"))
    opening = OpeningKey.load((folder / OPENING).read_text(encoding="ascii"))
    return (
        signing_entry(signing.verify_key, valid_from=valid_from),
        sealing_entry(opening.sealing_key, valid_from=valid_from),
    )


def signing_entry(key: VerifyKey, *, valid_from: datetime) -> PublicKey:
    """A key to verify by, as a directory names it."""
    return PublicKey(key_id=key.key_id, use="sign", suite="ed25519", public=key.text(), valid_from=valid_from)


def sealing_entry(key: SealingKey, *, valid_from: datetime) -> PublicKey:
    """A key to seal for, as a directory names it."""
    return PublicKey(key_id=key.key_id, use="seal", suite=key.suite, public=key.text(), valid_from=valid_from)
