"""A story: parties, the referral that is filed, steps over the parties' own doors, and the timelines that come out.

One TOML file each, in this folder. Parties have the story's own names in it: in steps, in bodies (`{provider}`) and in
timelines.

    [parties]  hotline = "hotline-be.example"
    [filed.it] like = "hosted"        a referral of `referrals.toml`, with what `with` changes; `of = "it"` names it
    [[step]]   by, does, of, said     an act by its name in the rows of acts, or any `path`; what it is answered with
    [[step]]   at, until              waits until a party has learnt of something
    [[step]]   at, groups, names      waits until notices are one work item at their provider
    {now}, {now+9s}                   in what is said: when the step is played, and nine seconds after that
    [[timeline]] at, of, shows        the lines, in their order
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from shared.exchange.act import Act
from shared.exchange.acts import ACTS

FOLDER: Final = Path(__file__).parent
#: Referrals that stories file: no story.
_REFERRALS: Final = "referrals.toml"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Filed(_Part):
    """A referral to draw: like one of the common ones, with changes."""

    like: str
    changes: Annotated[dict[str, JsonValue], Field(alias="with")] = {}


class Deed(_Part):
    """One act: `does` is SUBJECT.ACT. Where it is answered with an id of its own, `names` says under which name.

    `files` is the referral of `[filed]` that is posted, where that is not the one it is of: an amendment's, which
    follows `revision`. `path` stands for an act whose subject is none that the player finds by itself. `reaches`: who
    learns of it before the story goes on. If it is not said, the origin, or, of what the origin does, all others that
    have a timeline.
    """

    by: str
    does: str
    of: str = "it"
    said: dict[str, JsonValue] = {}
    files: str | None = None
    revision: int | None = None
    path: str | None = None
    status: int = 202
    code: str | None = None
    names: dict[str, str] = {}
    reaches: tuple[str, ...] | None = None

    @property
    def row(self) -> Act | None:
        """The row that says what it is; None where the rows have none of it."""
        subject, _, name = self.does.partition(".")
        return next((row for row in ACTS if (row.subject.value, row.name) == (subject, name)), None)


class Until(_Part):
    """Waits until a party's timeline has `count` lines that begin so; `listed`: until one of its list does."""

    at: str
    until: str
    of: str = "it"
    count: int = 1
    listed: str | None = None


class Grouped(_Part):
    """Waits until what is open of item `n` of these is one work item at a provider, and of no other.

    `names` is what the story calls it from then on.
    """

    at: str
    groups: tuple[str, ...]
    n: int = 1
    names: str


class Shows(_Part):
    """The timeline of a subject at one party, as lines. `listed` is what its attention says of it in the end."""

    at: str
    of: str = "it"
    shows: tuple[str, ...]
    listed: tuple[str, ...] = ()


class Story(_Part):
    """One file. `tells` is what it is about, in a sentence.

    `hours`: it waits for so many hours of the policy's clocks, so it is played where these are short (`POLICY_HOUR_S`).
    """

    name: str
    title: str
    tells: str
    hours: int = 0
    parties: dict[str, str]
    filed: dict[str, Filed]
    step: tuple[Deed | Until | Grouped, ...]
    timeline: tuple[Shows, ...]

    def reached(self, of: str) -> Sequence[str]:
        """Who has a timeline of it in the end."""
        return [each.at for each in self.timeline if each.of == of]

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        named = {each.by if isinstance(each, Deed) else each.at for each in self.step} | {at.at for at in self.timeline}
        if strangers := named - self.parties.keys():
            raise ValueError(f"no party of the story: {', '.join(sorted(strangers))}")
        return self


def stories(folder: Path = FOLDER) -> Sequence[Story]:
    """All stories, by their names. Raises `pydantic.ValidationError` where a file is none."""
    files = sorted(path for path in folder.glob("*.toml") if path.name != _REFERRALS)
    return [Story.model_validate(tomllib.loads(path.read_text("utf-8")) | {"name": path.stem}) for path in files]


def referral_like(filed: Filed, *, names: Mapping[str, str]) -> dict[str, JsonValue]:
    """The body of a referral: `names` are the parties', and `n` a number that no other one has."""
    common = tomllib.loads((FOLDER / _REFERRALS).read_text("utf-8"))
    body = filled(common[filed.like] | filed.changes, names)
    return body if isinstance(body, dict) else {}


def filled(value: JsonValue, names: Mapping[str, str]) -> JsonValue:
    """A body with names in the place of `{name}`, wherever texts stand in it."""
    match value:
        case str():
            return value.format_map(names)
        case list():
            return [filled(each, names) for each in value]
        case dict():
            return {name: filled(each, names) for name, each in value.items()}
        case _:
            return value
