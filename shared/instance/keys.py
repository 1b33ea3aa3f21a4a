"""The private keys of an instance: from files that only their owner may read, or from a secret in the settings.

signing.key     Ed25519: signs relay batches
opening*.key    X25519 or ML-KEM-768 ‖ X25519: opens messages sealed to this instance; an old key stays until no
                message sealed to it is in transit
kek.key         256 bits: wraps data keys
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.envelope.keys import KEY_OPERATIONS, OpeningKey, SigningKey
from shared.core.errors import Refused
from shared.platform.observability import metrics


@dataclass(frozen=True, slots=True)
class InstanceKeys:
    """The keys for signing, opening and wrapping; `opening` by key id."""

    signing: SigningKey
    opening: Mapping[str, OpeningKey]
    kek: KeyEncryptionKey


def measure_key_operations() -> None:
    """Set the gauges of this process's key operations."""
    for kind, count in KEY_OPERATIONS.by_kind().items():
        metrics.KEY_OPERATIONS.labels(kind).set(count)


def load_keys(
    keys_dir: Path | None,
    *,
    signing_key: SecretStr | None = None,
    opening_key: SecretStr | None = None,
    kek: SecretStr | None = None,
) -> InstanceKeys:
    """Load the keys of an instance. A given secret overrides its file.

    Raises `Refused` with `key_missing`, `key_file_exposed` (others may read it) or `key_malformed`.
    """
    opening_texts = [opening_key.get_secret_value()] if opening_key is not None else _opening_texts(keys_dir)
    opening = [OpeningKey.load(text) for text in opening_texts]
    return InstanceKeys(
        signing=SigningKey.load(_text(signing_key, keys_dir, "signing.key")),
        opening={key.key_id: key for key in opening},
        kek=KeyEncryptionKey.load(_text(kek, keys_dir, "kek.key")),
    )


def read_key_file(path: Path) -> str:
    """Return the text of a key file. Raises `Refused` if users other than its owner have a right to it."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise Refused("key_file_exposed", f"{path.name}: make it readable by its owner only (mode 0600)")
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise Refused("key_missing", f"{path.name}: the file does not exist or cannot be read") from None


def _text(secret: SecretStr | None, keys_dir: Path | None, name: str) -> str:
    if secret is not None:
        return secret.get_secret_value()
    if keys_dir is None:
        raise Refused("key_missing", f"{name}: set the keys directory, or give the key itself")
    return read_key_file(keys_dir / name)


def _opening_texts(keys_dir: Path | None) -> list[str]:
    paths = sorted(keys_dir.glob("opening*.key")) if keys_dir is not None else []
    return [read_key_file(path) for path in paths] or [_text(None, keys_dir, "opening.key")]
