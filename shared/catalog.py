"""The catalogue of this release: one tuple of features. A feature that has messages is one line here. Pure.

Features never import it: code that needs all messages or acts is given it.
"""

from __future__ import annotations

from typing import Final

from shared.core.acts.catalog import CORE, Catalog
from shared.features.contacts.acts import CONTACT

CATALOG: Final = Catalog((CORE, CONTACT))
