"""How a row of an isolated table is made: what was received, a place, a look. As `Isolated.insert`."""

from __future__ import annotations


def insert_received(kind: str) -> str:
    """The statement that adds a row of a kind to `received`."""
    return f"""
INSERT INTO received (subject, party, kind, sender, purpose, exercise, state, revision, edge_revision, retention, edge,
                      record, edge_id, peer, side, track)
VALUES ($1, $2, '{kind}', 'sender.example', 'assessment', true, $3, 1, 1, '', '', '', gen_random_uuid(), '', 0,
        gen_random_uuid())
"""


NOTICE_LOCATION = """
INSERT INTO notice_location (notice_id, party, n, version, token) SELECT $1, $2, 1, 1, '' WHERE $3 <> ''
"""
PRESERVATION_LOCATION = """
INSERT INTO preservation_location (preservation_id, party, version, token) SELECT $1, $2, 1, '' WHERE $3 <> ''
"""
TOKEN = """
INSERT INTO location_token (party, referral_id, n, version, token) SELECT $2, $1::uuid, 1, 1, '' WHERE $3 <> ''
"""
RELATION = """
INSERT INTO relation (party, referral_id, other, kind) SELECT $2, $1::uuid, $1, 'same_locator' WHERE $3 <> ''
"""
RECORD_LOOK = """
INSERT INTO record_look (subject, party, actor, role, at)
SELECT $1::uuid, $2, 'somebody', 'analyst', now() WHERE $3 <> ''
"""
