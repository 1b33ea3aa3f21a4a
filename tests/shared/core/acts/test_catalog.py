"""The catalogue: what a release knows, and features whose messages and acts do not fit together."""

from __future__ import annotations

import pytest

from shared.catalog import CATALOG
from shared.core.acts.act import Move, Track, any_of
from shared.core.acts.catalog import CORE, Catalog, Feature
from shared.core.contracts.registry import CASE_ACCEPTED
from shared.core.errors import Defect
from shared.core.vocabulary.answers import AnswerState
from shared.features.contacts.acts import CONTACT, SUGGEST
from shared.features.contacts.contract import CONTACT_SUGGESTED
from tests.support.exchange_world import grown, next_version


def test_it_has_the_messages_and_acts_of_its_features_in_their_order() -> None:
    assert CATALOG.messages == tuple(each for feature in CATALOG.features for each in feature.messages)
    assert CATALOG.acts[-1] is SUGGEST
    assert CATALOG.acts_of(CONTACT_SUGGESTED) == (SUGGEST,)
    assert not Catalog([CORE]).knows(CONTACT_SUGGESTED.name)


def test_the_acts_of_a_message_are_those_of_all_its_versions_and_the_newest_counts() -> None:
    later = next_version(CASE_ACCEPTED)
    catalog = grown(later)
    assert catalog.newest("case_accepted") is later
    assert catalog.by_type[CASE_ACCEPTED.type] is CASE_ACCEPTED
    assert catalog.acts_of(later) == catalog.acts_of(CASE_ACCEPTED) == CATALOG.acts_of(CASE_ACCEPTED)
    with pytest.raises(KeyError):
        CATALOG.newest("case_sung_about")


_MOVES = SUGGEST._replace(moves=(Move(any_of(AnswerState.NONE), AnswerState.ACCEPTED.value),))


@pytest.mark.parametrize(
    ("feature", "wrong"),
    [
        (CONTACT._replace(acts=()), "feature contacts has no act that sends contact_suggested"),
        (CONTACT._replace(messages=()), "feature contacts has no message contact_suggested"),
        (CONTACT._replace(acts=(SUGGEST._replace(track=Track.ANSWER),)), "the other side sends contact_suggested"),
        (CONTACT._replace(acts=(_MOVES,)), "contact_suggested moves its subject"),
    ],
    ids=["without its act", "without its message", "by the other side", "moving its subject"],
)
def test_a_feature_that_does_not_fit_together_is_named(feature: Feature, wrong: str) -> None:
    with pytest.raises(Defect, match=wrong):
        Catalog([CORE, feature])
