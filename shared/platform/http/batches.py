"""Bodies of several acts at once, and their answers. They are built from the body and answer of each single act.

Posted lists are read item by item; large lists are read in the worker thread. The sender is charged for the work of
reading refused items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Generic, Literal, NamedTuple, TypeVar, cast

from pydantic import Field, StringConstraints, create_model

from shared.core.canonical import digest
from shared.core.contracts.base import Contract, JsonObject, Uuid
from shared.core.errors import Refused, RetryLater
from shared.core.guard import parse_list
from shared.core.guard.envelope_limits import BODY_BYTES_MAX
from shared.platform.admission.budgets import work_of
from shared.platform.admission.throttled_executor import beside_each
from shared.platform.http.acts import RequestFingerprint
from shared.platform.http.bodies import BATCH_ITEMS_MAX
from shared.platform.http.problems import Problem

_Made = TypeVar("_Made")


#: Charges the sender for this amount of work.
Owe = Callable[[int], None]


class RequestBody(NamedTuple):
    """A body as it came."""

    body: bytes
    kind: str | None
    encoding: str | None


class ReadList(NamedTuple, Generic[_Made]):
    """The result for each item, the digests of their bytes, and a hash by which equal lists are recognized."""

    made: Sequence[_Made]
    hashes: Sequence[str]
    same: bytes


async def read_list(
    posted: RequestBody, name: str, route: str, /, *, make: Callable[[int, JsonObject | Refused], _Made], owe: Owe
) -> ReadList[_Made]:
    """Read `{name: [ … ]}` and call `make` with the place and value of each item.

    Raises `Refused` if the list as a whole is refused.
    """
    same, refused = RequestFingerprint(route), 0

    def steps() -> Iterator[tuple[_Made, str]]:
        nonlocal refused
        items = parse_list(posted.kind, posted.encoding, posted.body, name=name, items_max=BATCH_ITEMS_MAX)
        for place, (read, raw) in enumerate(items):
            same.add_item(read, raw)
            refused += len(raw) if isinstance(read, Refused) else 0
            yield make(place, read), digest(raw)

    with refused_is_owed(posted.body, owe):
        read = await beside_each(steps()) if len(posted.body) > BODY_BYTES_MAX else list(steps())
    if refused:
        owe(work_of(refused))
    return ReadList([made for made, _ in read], [sha256 for _, sha256 in read], same.value())


@contextmanager
def refused_is_owed(body: bytes, owe: Owe) -> Iterator[None]:
    """Charge the sender for the work of reading the body, if the body is refused as a whole."""
    try:
        yield
    except Refused as error:
        if not isinstance(error, RetryLater):  # then nothing was read
            owe(work_of(len(body)))
        raise


#: The list that is posted.
LIST: Final = "answers"
#: The index of a line in the list that was posted, from 0.
Index = Annotated[int, Field(ge=0, lt=BATCH_ITEMS_MAX)]
#: The line's own idempotency key: an act with the same key is not repeated, also in another batch.
LineKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class BatchLine(Contract):
    """The members that every line may have in addition to its act and the act's fields."""

    key: LineKey | None = None


class BatchResults(Contract):
    """One result for each act, in their order."""

    results: tuple[Contract, ...]


class RefusedAct(Contract):
    """A refused act, with the status and the problem of the same act outside a batch."""

    index: Index
    status: Annotated[int, Field(ge=400, le=499)]
    problem: Problem


class BatchModels(NamedTuple):
    """The models of a batch: `lines` by the name of the act, `batch` as a list of them, `answer` for the whole answer.

    `moved` is one successful act in the answer.
    """

    lines: Mapping[str, type[BatchLine]]
    batch: type[Contract]
    moved: type[Contract]
    answer: type[BatchResults]


def batched(
    prefix: str, acts: Mapping[str, type[Contract] | None], *, named: str, moved: type[Contract], about: str
) -> BatchModels:
    """Build the models of a batch, with names that begin with `prefix`.

    `acts` are the models of single acts, None for an act without fields. `named` is the field with the id of the
    subject. `moved` is the model of an answer, and `about` names the subjects.
    """
    lines = {name: _line(prefix, name, takes, named=named) for name, takes in acts.items()}
    every: Any = Annotated[reduce(or_, lines.values()), Field(discriminator="act")]
    fields: Any = {LIST: Annotated[tuple[every, ...], Field(min_length=1, max_length=BATCH_ITEMS_MAX)]}
    batch = create_model(
        f"{prefix}Batch", __base__=Contract, __doc__=f"Several acts on {about}, each as in its own request.", **fields
    )
    placed: Any = {"index": Index, "status": Literal[202]}
    done = create_model(
        f"{prefix}BatchMoved", __base__=moved, __doc__="A successful act, with its answer as outside a batch.", **placed
    )
    results: Any = {"results": tuple[done | RefusedAct, ...]}
    answer = create_model(f"{prefix}BatchAnswer", __base__=BatchResults, __doc__=BatchResults.__doc__, **results)
    return BatchModels(lines, batch, done, answer)


def _line(prefix: str, name: str, takes: type[Contract] | None, *, named: str) -> type[BatchLine]:
    """Build the model of one line: the fields of the act, its name and its subject."""
    called = "".join(word.capitalize() for word in name.split("_"))
    fields: Any = {named: Uuid, "act": Literal[name]}
    # The cast is for the type checker: only the members of `BatchLine` are used here.
    bases = (BatchLine,) if takes is None else (BatchLine, cast("type[BatchLine]", takes))
    description = "An act without fields of its own." if takes is None else takes.__doc__
    return create_model(f"{prefix}{called}Line", __base__=bases, __doc__=description, **fields)
