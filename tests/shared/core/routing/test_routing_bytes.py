"""The bytes and digests of decisions: canonical, bound together, and impossible to guess."""

from __future__ import annotations

import hashlib
import hmac

from shared.core.canonical import canonical_json, digest
from shared.core.ids import uuid4
from shared.core.protocol.decision_fact import commitment, edge_salt
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.engine import RoutingInput, judge
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.jurisdiction import TREE
from tests.shared.core.routing.builders import (
    AT,
    SALT,
    decided,
    directory_document,
    facts,
    hotline,
    policy_document,
    policy_of,
    prohibition,
    when,
)
from tests.shared.core.routing.test_routing_decide import DIRECTORY, HOSTING, ORPHAN, USER_POLICE


def test_every_digest_is_that_of_the_canonical_json_it_names() -> None:
    rules = (HOSTING, ORPHAN, USER_POLICE, prohibition("no", when("media_kind", "in", "video")))
    decision = decided(facts(hosting=["NL", "BR"], user=["NL"]), DIRECTORY, policy_of(*rules))
    ref = decision.ref.model_dump(mode="json")
    frame = {name: ref[name] for name in ("directory", "policy", "engine", "decided_at")} | {"exercise": True}
    for edge in decision.edges:
        whole = edge.model_dump(mode="json", exclude_none=True, exclude={"digest"})
        assert edge.digest == digest(canonical_json(frame | {"edge": whole}))


def test_two_edges_of_one_decision_commit_to_nothing_that_they_share() -> None:
    """Each salt is derived from the decision's salt and the edge's id. It reveals no other salt."""
    one, other = uuid4(), uuid4()
    salts = {edge_salt(SALT, each) for each in (one, other)} | {edge_salt("01" * 32, one), SALT}
    assert len(salts) == 4
    digest_of_both = digest(b"an edge")
    assert len({commitment(salt, digest_of_both) for salt in salts}) == 4
    expected = hmac.new(bytes.fromhex(SALT), one.bytes, hashlib.sha256).digest()
    bound = hashlib.sha256(expected + bytes.fromhex(digest_of_both)).hexdigest()
    assert commitment(edge_salt(SALT, one), digest_of_both) == bound


def test_the_engines_json_is_the_contracts_json() -> None:
    policy = policy_of(HOSTING, ORPHAN, USER_POLICE, prohibition("no", when("media_kind", "in", "image")))
    for stated in (facts(), facts(hosting=["BR"]), facts(user=["NL"]), facts(user=["XX"])):
        json = stated.model_dump(mode="json", exclude_none=True)
        outcome = judge(json, RoutingInput(DIRECTORY, policy, exercise=True, decided_at=AT), salt=SALT)
        decision = decided(stated, DIRECTORY, policy)
        assert canonical_json(outcome.as_json()) == canonical_json(decision.model_dump(mode="json", exclude_none=True))


def test_documents_mean_the_same_with_their_defaults_written_or_left_out() -> None:
    policy, directory = policy_document(HOSTING, ORPHAN), directory_document(hotline("hotline-nl.example", "NL"))
    outcomes = []
    for short in (False, True):
        setting = RoutingInput(
            DirectoryIndex(directory.model_dump(mode="json", exclude_defaults=short), "0" * 64, TREE),
            PolicyIndex(policy.model_dump(mode="json", exclude_defaults=short), "0" * 64, TREE),
            exercise=True,
            decided_at=AT,
        )
        outcomes.append(judge(facts().model_dump(mode="json"), setting, salt=SALT).as_json())
    assert outcomes[0] == outcomes[1]


def test_lists_of_facts_mean_the_same_in_any_order_and_with_repeats() -> None:
    policy = policy_of(HOSTING, USER_POLICE)
    one = decided(facts(hosting=["NL", "BR", "US"], user=["NL"]), DIRECTORY, policy)
    other = decided(facts(hosting=["US", "NL", "BR", "NL"], user=["NL", "NL"]), DIRECTORY, policy)
    assert one == other


def test_the_salt_is_in_no_edge_and_not_in_the_reference() -> None:
    salt = hashlib.sha256(b"salt").hexdigest()
    decision = decided(facts(), DIRECTORY, policy_of(HOSTING), salt=salt)
    travelling = decision.ref.model_dump_json() + "".join(edge.model_dump_json() for edge in decision.edges)
    assert salt not in travelling
    assert salt in decision.model_dump_json()
