"""The next directory of an exchange, of what its operator holds: the admitted instances, and a list of parties."""

from __future__ import annotations

import json
from datetime import date

from pydantic import TypeAdapter, ValidationError

from deploy.directory.assemble import assembled
from deploy.operator.desk import check_directory
from deploy.operator.folder import BEAT_CARD, admitted
from deploy.site.open import Site
from shared.contracts.base import error_locations
from shared.contracts.directory import Party, PublicKey
from shared.kernel.errors import Refused


def next_directory(site: Site, parties: bytes, *, issued_on: date) -> bytes:
    """One version above the one that was published last from here, the first if none was.

    Raises `Refused`: `parties_malformed` with the field, and what the desk objects to.
    """
    last = site.state / "directory.json"
    version = int(json.loads(last.read_bytes())["version"]) + 1 if last.exists() else 1
    beat = site.state / BEAT_CARD
    beats = [PublicKey.model_validate_json(beat.read_bytes())] if beat.exists() else []
    body = assembled(_parties(parties), admitted(site.state), beat_keys=beats, version=version, issued_on=issued_on)
    check_directory(body)
    return body


def _parties(text: bytes) -> list[Party]:
    try:
        return TypeAdapter(list[Party]).validate_json(text)
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    raise Refused("parties_malformed", where["rule"], field=where["field"], status=400)
