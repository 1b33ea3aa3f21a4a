"""What a party has said of a subject so far: one pure fold over its acts, the same on both sides.

An outcome that was reported stays reported: nothing that is said later, a withdrawal's acknowledgement least of all,
takes the words of an earlier act away. Each act besides stands in the timeline as it was said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.exchange.items import Said
from shared.vocabulary.answers import YesNoUnknown

Words = Mapping[str, object]

#: What an act says of itself: only the newest one's are of use.
_OF_THE_ACT: Final = frozenset({"revision", "act", "number", "question", "due", "code", "stands"})
#: What is said of items, one by one.
_ADD_UP: Final = ("assessed",)
#: Whether it ever was so: what is known is not unlearned.
_EVER: Final = ("child_identified", "child_safeguarded")
_SURER: Final = {None: 0, YesNoUnknown.UNKNOWN.value: 1, YesNoUnknown.NO.value: 2, YesNoUnknown.YES.value: 3}


def folded(before: Words, said: Words) -> dict[str, object]:
    """All that was said, by the name of each word, in JSON: `said` is what the newest act says.

    What was said of items adds up. Of whether a child was identified or safeguarded `yes` stays, and `unknown` takes
    nothing back. Every other word stands for what was said before.
    """
    kept = {name: word for name, word in before.items() if name not in _OF_THE_ACT}
    adds = {name: [*_listed(kept, name), *_listed(said, name)] for name in _ADD_UP if name in kept or name in said}
    ever = {name: _surer(kept[name], said[name]) for name in _EVER if name in kept and name in said}
    return kept | dict(said) | ever | adds | (Said.kept(before) + Said.kept(said)).words()


def _listed(words: Words, name: str) -> Sequence[object]:
    """The words of this name, none where there are none."""
    found = words.get(name)
    return found if isinstance(found, list | tuple) else ()


def _surer(before: object, said: object) -> object:
    return max(said, before, key=lambda word: _SURER.get(word if isinstance(word, str) else None, 0))
