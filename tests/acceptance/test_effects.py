"""Account IV: each deletion or alteration of a state that messages determine is named, on both sides, and no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import NamedTuple

import asyncpg
import pytest

from deploy.accounting.run import reconciled
from deploy.scenarios.player import over_http, play
from deploy.scenarios.story import stories
from shared.core.acts.act import Subject
from shared.core.acts.states import states
from shared.core.contracts.answers import CaseRecord
from shared.core.vocabulary.answers import AnswerState
from tests.acceptance.programs import causeway
from tests.support.running import AGENCY, HOTLINE, Exchange, referral

Record = Callable[[str, object], None]

ALTERATIONS = 200
#: Alterations of different subjects that are made and compared together.
AT_ONCE = 25
_RANDOM = Random(29)
_PARTIES = ("hotline", "law_enforcement", "industry")
#: A track with an effect that a message states: it was not erased, and is no tombstone.
_HELD = "peer <> '' AND NOT is_erased AND NOT is_withdrawn AND cardinality(track_acts) > 0"


class Fault(NamedTuple):
    """One way to delete or alter rows. Without `change`, a row is deleted. `subject`: the id in the differences."""

    table: str
    change: str | None
    where: str = "true"
    subject: str = "subject"


def _other(values: Mapping[str, frozenset[str]]) -> str:
    """Return the SQL of another state of the row's kind."""
    kinds = " ".join(
        f"WHEN '{kind}' THEN (SELECT v FROM unnest('{{{','.join(sorted(of))}}}'::text[]) AS v "
        "WHERE v <> state ORDER BY md5(subject::text || v) LIMIT 1)"
        for kind, of in values.items()
    )
    return f"CASE kind {kinds} END"


_SUBJECT = "coalesce(notice_id, referral_id)"
_PRESENT = "state = 'emitted' AND message_id IS NOT NULL"
_STATES = {str(kind): states(kind) for kind in (*Subject,) if kind in ("offer", "case", "notice")}
_LAST = "number = (SELECT max(number) FROM answer_act AS o WHERE (o.subject, o.sender) = (t.subject, t.sender))"
FAULTS = (
    Fault("received", None, _HELD),
    Fault("received", "track_acts = track_acts[2:]", _HELD),
    Fault("received", "track_acts = track_acts || gen_random_uuid()", _HELD),
    Fault("received", "is_withdrawn = NOT is_withdrawn", "peer <> ''"),
    Fault("received", f"state = {_other(_STATES)}", _HELD),
    Fault("received", "act_count = act_count + 1", _HELD),
    Fault("received", "edge_revision = edge_revision + 1", _HELD),
    Fault("ONLY track", None, "side IN (1, 3) AND NOT is_erased AND cardinality(track_acts) > 0"),
    Fault("ONLY track", "track_acts = track_acts[2:]", "side IN (1, 3) AND cardinality(track_acts) > 0"),
    Fault("ONLY track", "track_acts = track_acts || gen_random_uuid()", "side IN (1, 3) AND NOT is_erased"),
    Fault("edge", None, f"{_HELD} AND {_PRESENT}", _SUBJECT),
    Fault("edge", "track_acts = track_acts[2:]", _HELD, _SUBJECT),
    Fault("edge", "track_acts = track_acts || gen_random_uuid()", _HELD, _SUBJECT),
    Fault("edge", "is_withdrawn = NOT is_withdrawn", "peer <> ''", _SUBJECT),
    Fault("edge", "answer = CASE answer WHEN 'accepted' THEN 'declined' ELSE 'accepted' END", _PRESENT, _SUBJECT),
    Fault("edge", "acts = acts + 1", f"{_HELD} AND {_PRESENT}", _SUBJECT),
    Fault("edge", "revision = revision + 1", f"{_HELD} AND {_PRESENT}", _SUBJECT),
    Fault("answer_act", None, "number IS NOT NULL"),
    Fault("answer_act", "number = number + 1", f"code IS NULL AND {_LAST}"),
    Fault("answer_act", "code = 'state_forbids'", "number IS NOT NULL"),
    Fault("answer_act", f"answer = '{AnswerState.CLAIMED}'", f"code IS NULL AND answer <> 'claimed' AND {_LAST}"),
    Fault("preservation", None, subject="preservation_id"),
    Fault(
        "preservation",
        "state = CASE state WHEN 'refused' THEN 'preserved' ELSE 'refused' END",
        subject="preservation_id",
    ),
)


@pytest.fixture(scope="module")
async def lived(exchange: Exchange) -> Exchange:
    """Return the exchange after every story was played in it, and further referrals were filed and accepted."""
    async with over_http(exchange.parties) as stage:
        told = [play(story, stage) for story in stories() if not story.hours]
        assert [each.differences for each in await asyncio.gather(*told) if each.differences] == []
    async with exchange.client(HOTLINE) as hotline, exchange.client(AGENCY) as agency:
        filed = [(await hotline.submit(referral())).referral_id for _ in range(AT_ONCE)]
        await exchange.until_quiet()
        for referral_id in filed[::2]:
            await agency.act_on_case("accept", referral_id, CaseRecord(case_reference=f"CASE-{referral_id}"))
    await exchange.until_all_have_answered()
    await exchange.until_quiet()
    await exchange.until_audited()
    return exchange


async def test_nothing_is_named_in_what_the_stories_left(lived: Exchange, record_property: Record) -> None:
    found = await reconciled(lived.endpoints, everything=True)
    assert found.differences == ()
    assert min(found.effects[name] for name in ("acts", "withdrawals", "ended", "no_effect")) > 0
    record_property("figure", f"effects {found.effects}")


async def test_200_deletions_and_alterations_are_named(lived: Exchange, record_property: Record) -> None:
    """A batch alters rows of different subjects: each is named, and no other subject is."""
    made: dict[str, int] = {}
    while sum(made.values()) < ALTERATIONS:
        async with altered(lived, min(AT_ONCE, ALTERATIONS - sum(made.values()))) as subjects:
            found = await reconciled(lived.endpoints, everything=True)
        named = {each.where for each in found.differences if each.equation == "IV"}
        unnamed = {name for name, subject in subjects.items() if not any(subject in where for where in named)}
        assert unnamed == set()
        assert [where for where in named if not any(subject in where for subject in subjects.values())] == []
        for name in subjects:
            made[name.partition(" #")[0]] = made.get(name.partition(" #")[0], 0) + 1
    assert (await reconciled(lived.endpoints, everything=True)).differences == ()
    record_property("figure", f"{sum(made.values())} of {len(made)} kinds, each named")


async def test_a_lost_effect_is_exit_1_by_the_place_of_its_message(lived: Exchange) -> None:
    async with altered(lived, 1) as subjects:
        ran = causeway(lived.state, "audit", "reconcile", "--all", "--json")
    (subject,) = subjects.values()
    assert (ran.returncode, subject in ran.stdout) == (1, True)


async def test_a_known_difference_is_closed_by_two_persons(lived: Exchange) -> None:
    def accept(person: str, place: str) -> tuple[int, str]:
        words = ("audit", "accept", "IV", place, "--by", person, "--reason", "the dump was older")
        ran = causeway(lived.state, *words, "--json")
        return ran.returncode, ran.stdout + ran.stderr

    async with altered(lived, 1):
        before = json.loads(causeway(lived.state, "audit", "reconcile", "--json").stdout)
        places = sorted({each["where"] for each in before["differences"] if each["equation"] == "IV"})
        others = [each for each in before["differences"] if each["equation"] != "IV"]
        assert accept("one", "nowhere")[0] != 0
        for place in places:
            assert accept("one", place)[0] == 0
            code, said = accept("one", place)
            assert (code, "person_repeated" in said) == (1, True)
        assert causeway(lived.state, "audit", "reconcile", "--json").returncode == 1
        for place in places:
            assert accept("two", place)[0] == 0
        ran = causeway(lived.state, "audit", "reconcile", "--json")
        after = json.loads(ran.stdout)
        assert (ran.returncode, after["differences"], after["IV"]["difference"]) == (int(bool(others)), others, 0)
        assert {each["where"] for each in after["accepted"]} == {*places}
    assert (await reconciled(lived.endpoints, everything=True)).differences == ()


@asynccontextmanager
async def altered(exchange: Exchange, count: int) -> AsyncIterator[dict[str, str]]:
    """Make random alterations, each on another subject; return the subjects by fault; restore all afterwards."""
    subjects: dict[str, str] = {}
    kept: list[tuple[str, str]] = []
    admins = {party: await exchange.admin(party) for party in _PARTIES}
    try:
        for admin in admins.values():
            await admin.execute("SET session_replication_role = replica")
        while len(subjects) < count:
            party, fault = _RANDOM.choice(_PARTIES), _RANDOM.choice(FAULTS)
            if (row := await _pick(admins[party], fault, subjects)) is None:
                continue
            table, number = fault.table.removeprefix("ONLY "), len(subjects)
            subjects[f"{party}: {fault.table}: {fault.change or 'deleted'} #{number}"] = str(row["of"])
            await admins[party].execute(
                f"CREATE TEMP TABLE kept_{number} AS SELECT * FROM {table} WHERE tableoid = $1 AND ctid = $2",
                row["tableoid"],
                row["ctid"],
            )
            kept.append((party, table))
            where = "WHERE tableoid = $1 AND ctid = $2"
            change = (
                f"UPDATE {fault.table} SET {fault.change} {where}"
                if fault.change
                else f"DELETE FROM {fault.table} {where}"
            )
            await admins[party].execute(change, row["tableoid"], row["ctid"])
        yield subjects
    finally:
        for number, (party, table) in enumerate(kept):
            await _restore(admins[party], table, f"kept_{number}")
        for admin in admins.values():
            await admin.close()


_KEYS = {
    "received": ("subject", "party"),
    "track": ("peer", "side", "track"),
    "edge": ("edge_id",),
    "answer_act": ("subject", "sender", "act"),
    "preservation": ("preservation_id", "party"),
}


async def _pick(admin: asyncpg.Connection, fault: Fault, subjects: Mapping[str, str]) -> asyncpg.Record | None:
    """Return a random row of the fault whose subject is not altered yet, or None."""
    if await admin.fetchval("SELECT to_regclass($1)", fault.table.removeprefix("ONLY ")) is None:
        return None
    query = f"SELECT tableoid, ctid, {fault.subject} AS of FROM {fault.table} AS t WHERE {fault.where}"
    rows = [row for row in await admin.fetch(f"{query} ORDER BY 3, 2") if str(row["of"]) not in subjects.values()]
    return _RANDOM.choice(rows) if rows else None


async def _restore(admin: asyncpg.Connection, table: str, kept: str) -> None:
    key = ", ".join(_KEYS[table])
    stored = "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND attgenerated = ''"
    names = ", ".join(f'"{row["attname"]}"' for row in await admin.fetch(stored, table))
    await admin.execute(f"DELETE FROM ONLY {table} WHERE ({key}) IN (SELECT {key} FROM {kept})")
    await admin.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {kept}")
    await admin.execute(f"DROP TABLE {kept}")
