"""A story: parties, the submitted referral, steps over the parties' own APIs, and the expected timelines.

Each story is a TOML file in this folder. Parties have the story's own names in steps, bodies (`{provider}`) and
timelines.

    [parties]  hotline = "hotline-be.example"
    [filed.it] like = "hosted"        a referral of `referrals.toml`, changed by `with`; `of = "it"` names it
    [[step]]   by, does, of, said     an act by its name in the rows of acts, or any `path`; the expected answer
    [[step]]   at, until              waits until a party has received an act
    [[step]]   at, groups, names      waits until notices are one work item at their provider
    {now}, {now+9s}                   in bodies: the time of the step, and nine seconds after that
    [[timeline]] at, of, shows        the lines, in their order
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from shared.catalog import CATALOG
from shared.core.acts.act import Act

FOLDER: Final = Path(__file__).parent
#: Referrals that stories submit; not a story.
_REFERRALS: Final = "referrals.toml"


class _ScenarioPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FiledReferral(_ScenarioPart):
    """A referral to draw: like one of the common ones, with changes."""

    like: str
    changes: Annotated[dict[str, JsonValue], Field(alias="with")] = {}


class ScenarioStep(_ScenarioPart):
    """One act: `does` is SUBJECT.ACT. If the answer has an id of its own, `names` names it.

    `files` is the referral of `[filed]` to post if it is another than the subject: an amendment's, which follows
    `revision`. `path` is for an act whose subject the player cannot find. `reaches`: the parties that must have the act
    before the story continues. The default is the origin; for an act of the origin, all other parties with a timeline.
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
        """Return the row of the act; None if there is none."""
        subject, _, name = self.does.partition(".")
        return next((row for row in CATALOG.acts if (row.subject.value, row.name) == (subject, name)), None)


class WaitStep(_ScenarioPart):
    """A wait until a party's timeline has `count` lines with this beginning.

    With `listed`, the lines are on its attention list.
    """

    at: str
    until: str
    of: str = "it"
    count: int = 1
    listed: str | None = None


class WorkItemStep(_ScenarioPart):
    """A wait until the open parts of item `n` of these notices, and no others, are one work item.

    `names` is the story's name for it from then on.
    """

    at: str
    groups: tuple[str, ...]
    n: int = 1
    names: str


class TimelineStep(_ScenarioPart):
    """A subject's timeline at one party, as lines.

    `listed` is its final state on the party's attention list.
    """

    at: str
    of: str = "it"
    shows: tuple[str, ...]
    listed: tuple[str, ...] = ()


class Scenario(_ScenarioPart):
    """One file. `tells` is its subject in one sentence.

    `hours`: it waits for these hours of the policy's clocks, so it is played with short ones (`hour_s`).
    """

    name: str
    title: str
    tells: str
    hours: int = 0
    parties: dict[str, str]
    filed: dict[str, FiledReferral]
    step: tuple[ScenarioStep | WaitStep | WorkItemStep, ...]
    timeline: tuple[TimelineStep, ...]

    def reached(self, of: str) -> Sequence[str]:
        """Return the parties that finally have a timeline of it."""
        return [each.at for each in self.timeline if each.of == of]

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        named = {each.by if isinstance(each, ScenarioStep) else each.at for each in self.step} | {
            at.at for at in self.timeline
        }
        if strangers := named - self.parties.keys():
            raise ValueError(f"no party of the story: {', '.join(sorted(strangers))}")
        return self


def stories(folder: Path = FOLDER) -> Sequence[Scenario]:
    """Read all stories, by name. Raises `pydantic.ValidationError` if a file is not a story."""
    files = sorted(path for path in folder.glob("*.toml") if path.name != _REFERRALS)
    return [Scenario.model_validate(tomllib.loads(path.read_text("utf-8")) | {"name": path.stem}) for path in files]


def referral_like(filed: FiledReferral, *, names: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return the body of a referral: `names` has the parties' names, and `n`, a unique number."""
    common = tomllib.loads((FOLDER / _REFERRALS).read_text("utf-8"))
    body = filled(common[filed.like] | filed.changes, names)
    return body if isinstance(body, dict) else {}


def filled(value: JsonValue, names: Mapping[str, str]) -> JsonValue:
    """Return a body with all `{name}` in its texts replaced."""
    match value:
        case str():
            return value.format_map(names)
        case list():
            return [filled(each, names) for each in value]
        case dict():
            return {name: filled(each, names) for name, each in value.items()}
        case _:
            return value
