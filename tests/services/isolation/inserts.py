"""Insert statements for rows of isolated tables: received items, locations, record accesses. See `Isolated.insert`."""

from __future__ import annotations


def insert_received(kind: str) -> str:
    """Return the statement that adds a row of a kind to `received`."""
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
INSERT INTO referral_relation (party, referral_id, other_referral_id, kind)
SELECT $2, $1::uuid, $1, 'same_locator' WHERE $3 <> ''
"""
RECORD_LOOK = """
INSERT INTO record_access_log (subject, party, actor, role, at)
SELECT $1::uuid, $2, 'somebody', 'analyst', now() WHERE $3 <> ''
"""
