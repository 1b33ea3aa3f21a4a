"""Bodies of several acts at once, and their answers: made of those that each act takes and is answered with alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Literal, NamedTuple, cast

from pydantic import Field, StringConstraints, create_model

from shared.contracts.base import Contract, Uuid
from shared.runtime.http.bodies import BATCH_ITEMS_MAX
from shared.runtime.http.problems import Problem

#: The list that is posted.
LIST: Final = "answers"
#: The place of a line in the list that was posted, from 0.
Index = Annotated[int, Field(ge=0, lt=BATCH_ITEMS_MAX)]
#: A key of the line's own: what was done under it is not done again, in whatever batch it comes.
LineKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class BatchLine(Contract):
    """What every line may have beside its act and what that takes."""

    key: LineKey | None = None


class BatchResults(Contract):
    """One result for each act, in their order."""

    results: tuple[Contract, ...]


class AnswerRefused(Contract):
    """An act that was refused, with the status and the problem that it would have been answered with alone."""

    index: Index
    status: Annotated[int, Field(ge=400, le=499)]
    problem: Problem


class Batched(NamedTuple):
    """`lines` are what is posted of each act, by its name: `batch` is a list of them. `moved` is one that was done."""

    lines: Mapping[str, type[BatchLine]]
    batch: type[Contract]
    moved: type[Contract]
    answer: type[BatchResults]


def batched(
    prefix: str, acts: Mapping[str, type[Contract] | None], *, named: str, moved: type[Contract], about: str
) -> Batched:
    """The models of a batch, called after `prefix`. `acts` are what each takes alone, None where it says nothing.

    `named` is the field with the id of its subject, `moved` what each is answered with, `about` what is acted on.
    """
    lines = {name: _line(prefix, name, takes, named=named) for name, takes in acts.items()}
    every: Any = Annotated[reduce(or_, lines.values()), Field(discriminator="act")]
    fields: Any = {LIST: Annotated[tuple[every, ...], Field(min_length=1, max_length=BATCH_ITEMS_MAX)]}
    batch = create_model(
        f"{prefix}Batch", __base__=Contract, __doc__=f"Several acts on {about} at once, each as it is alone.", **fields
    )
    placed: Any = {"index": Index, "status": Literal[202]}
    done = create_model(
        f"{prefix}BatchMoved", __base__=moved, __doc__="An act that was done, as it is answered alone.", **placed
    )
    results: Any = {"results": tuple[done | AnswerRefused, ...]}
    answer = create_model(f"{prefix}BatchAnswer", __base__=BatchResults, __doc__=BatchResults.__doc__, **results)
    return Batched(lines, batch, done, answer)


def _line(prefix: str, name: str, takes: type[Contract] | None, *, named: str) -> type[BatchLine]:
    """What one act takes, with its name and its subject."""
    called = "".join(word.capitalize() for word in name.split("_"))
    fields: Any = {named: Uuid, "act": Literal[name]}
    # To the checker each is a line: of what it takes, no more is asked here.
    bases = (BatchLine,) if takes is None else (BatchLine, cast("type[BatchLine]", takes))
    said = "Nothing is said beside it." if takes is None else takes.__doc__
    return create_model(f"{prefix}{called}Line", __base__=bases, __doc__=said, **fields)
