"""Live parties get no policy whose hours are shorter than those of the law."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.operator.documents import refuse_short_hour
from shared.core.errors import Refused


def document(**members: object) -> bytes:
    return json.dumps({"version": 1} | members).encode()


@pytest.mark.parametrize(("first", "field"), [("directory", "/hour_s"), ("policy", "/parties")])
def test_live_parties_and_a_short_hour_are_refused_in_both_orders(tmp_path: Path, first: str, field: str) -> None:
    live = {"policy": document(hour_s=60), "directory": document(parties=[{"status": "live"}])}
    second = "policy" if first == "directory" else "directory"
    refuse_short_hour(tmp_path, first, live[first])
    (tmp_path / f"{first}.json").write_bytes(live[first])
    with pytest.raises(Refused) as refused:
        refuse_short_hour(tmp_path, second, live[second])
    assert (refused.value.code, refused.value.field) == ("hour_short", field)
    for permitted in (document(hour_s=3600, parties=[{"status": "sandbox"}]), document(parties=[])):
        refuse_short_hour(tmp_path, second, permitted)
