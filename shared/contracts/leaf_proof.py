"""The proof of one leaf of a signed tree: of a message in evidence, of a signed acceptance."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract, Digest, KeyId, SignatureText

#: The salt of a leaf, 16 bytes in hexadecimal.
SaltText = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$", max_length=32)]


class LeafProof(Contract):
    """The signature over a tree, and the path from one of its leaves to the root.

    `position` is the position of the leaf in a tree of `size` leaves. `path` has the sibling hashes, lowest first.
    """

    key_id: KeyId
    signature: SignatureText
    size: Annotated[int, Field(strict=True, ge=1, le=256)]
    position: Annotated[int, Field(strict=True, ge=0, le=255)]
    path: Annotated[tuple[Digest, ...], Field(max_length=8)]
