"""The evidence that an agency was offered a referral: one message per purpose, in order of arrival."""

from __future__ import annotations

from dataclasses import replace

from services.law_enforcement.app import FEATURES
from shared.core.authority import Role
from shared.core.evidence import check_evidence, read_evidence
from shared.core.ids import uuid7
from shared.core.protocol.accept import accept
from shared.delivery.sending import Unit
from shared.features.cases.api import cases_router
from shared.features.cases.effects import AgencyHandler
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import AT, offered
from tests.services.doors import asking, door, serving
from tests.services.law_enforcement.agency import KEK, Agencies
from tests.support.builders import POLICE
from tests.support.exchange_world import LOCATION, world
from tests.support.foreign_proofs import foreign_verdicts

STRANGER = "police-us.example"


async def test_whoever_may_see_the_case_gets_what_proves_it_and_nobody_else(agencies: Agencies) -> None:
    here = world()
    (record,) = here.records([here.offered(POLICE)])
    message = accept(record, here.reader("law_enforcement"))
    async with agencies.database.transaction(RowScope((POLICE,), Role.SERVICE, "apply")) as session:
        unit = Unit(session)
        handler = AgencyHandler(kek=KEK, documents=lambda: here.documents, now=lambda: AT, features=FEATURES)
        assert await handler.apply(unit, [message]) == {}
    signing, directory = here.keys["law_enforcement"].signing, here.documents.directory
    served = serving(agencies.database, "law_enforcement", kek=KEK, directory=directory, signing=signing)
    path = f"/v1/inbox/{message.subject}/evidence"
    async with door(cases_router(served, lambda: here.documents)) as client:
        own = await client.get(path, headers=asking(POLICE))
        foreign = await client.get(path, headers=asking(STRANGER))
    (one,) = read_evidence(own.content).evidence
    check_evidence(one, directory)
    assert foreign_verdicts(here.document, evidence=own.json()["evidence"]) == [True]
    assert LOCATION not in own.text
    assert foreign.status_code == 404


async def test_each_purpose_for_which_it_was_offered_has_evidence_of_its_own(agencies: Agencies) -> None:
    referral_id = uuid7()
    for offset, purpose in enumerate(("investigation", "victim_identification")):
        message = offered(referral_id, purpose=purpose)
        assert await agencies.receive(replace(message, record=replace(message.record, offset=offset))) == [None]
    async with agencies.cases("read") as cases:
        kept = await cases.evidence(referral_id)
    assert [record.offset for record in kept] == [0, 1]
