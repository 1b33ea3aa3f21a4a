"""Pages and rule files written from tables of the code: each is a template in `templates`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from deploy.artifacts import schemas
from deploy.policy import sample_policy
from shared.catalog import CATALOG
from shared.core import codes
from shared.core.acts import states
from shared.core.acts.act import Act, Cause, Subject, Track
from shared.core.envelope import attributes, content_proof, headers
from shared.core.protocol import authority, record_table
from shared.core.routing.ageing import state_of
from shared.messaging import acks, placement

ROOT: Final = Path(__file__).parents[2]
#: The subjects whose states each service's page shows.
SHOWN_BY: Final = {
    "hotline": (Subject.REFERRAL, Subject.OFFER),
    "law_enforcement": (Subject.CASE, Subject.PRESERVATION),
    "industry": (Subject.REFERRAL, Subject.NOTICE, Subject.PRESERVATION),
}
#: The modules that templates use, by their last names.
_MODULES: Final = (
    *(acks, attributes, authority, codes, content_proof, headers),
    *(placement, record_table, schemas, states),
)
#: Maximum number of states that are listed as exceptions.
_FEW: Final = 4
#: Acts of an origin that messages of other acts report to its recipients: the names of these.
TELLS: Final[Mapping[str, Collection[str]]] = {
    "submit": ("offer", "issue"),
    "release": ("offer", "issue"),
    "amend": ("offer", "issue", "withdraw", "hold_ended"),
    "reroute": ("offer", "issue", "withdraw", "hold_ended"),
    "hand_over": ("claim_granted", "claim_gone", "hold_ended"),
    "confirm_override": ("hold_ended",),
}


def write_page(template: str) -> str:
    """Return the rendered text of `templates/TEMPLATE.j2`: `messages.md`, `law.md`, `asyncapi.json` …"""
    return _environment().get_template(f"{template}.j2").render()


def write_states(page: str, service: str) -> str:
    """Return a service's page with its states written again; the other text stays.

    Raises `ValueError` if a mark is missing.
    """
    template: Any = _environment().get_template("states.md.j2").module
    before, _, rest = page.partition(template.begin)
    _, found, after = rest.partition(template.end)
    if not found:
        raise ValueError(f"services/{service}/README.md has no place for its states")
    return f"{before}{template.of_service(SHOWN_BY[service])}{after}"


def told(row: Act) -> Iterable[Act]:
    """Return the rows whose messages report an act. Other rows report an origin's acts to its recipients."""
    if row.message or row.subject is not Subject.REFERRAL:
        return [row]
    names = TELLS.get(row.name, (row.name,))
    return [each for each in CATALOG.acts if each.name in names and each.cause is Cause.ACT and _is_told(each)]


@cache
def _environment() -> Environment:
    policy = sample_policy()
    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(),  # only for HTML pages; there is none
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["quoted"] = json.dumps
    made.globals.update({module.__name__.rpartition(".")[2]: module for module in _MODULES})
    made.globals.update(
        alerts=json.loads((ROOT / "deploy/observability/alerts.json").read_text(encoding="utf-8")),
        arrows=_arrows,
        catalog=CATALOG,
        calendars=[
            [*group]
            for _, group in groupby(policy.calendars, lambda each: (each.source, each.reviewed_on, each.reviewer_role))
        ],
        day=timedelta(days=1),
        is_told=_is_told,
        moves=_moves,
        policy=policy,
        state_of=lambda entry: state_of(entry.model_dump(mode="json"), policy.issued_on),
        subjects=Subject,
    )
    return made


def _arrows(subject: Subject) -> Mapping[tuple[str, str], list[str]]:
    """Return the acts of each arrow, by the states that it connects."""
    named: dict[tuple[str, str], list[str]] = {}
    for row in filter(states.begins, CATALOG.acts_on(subject)):
        for state in sorted(states.may_come_in(row)):
            named.setdefault(("[*]", state), []).append(row.name)
    for before in sorted(states.states(subject)):
        for row in CATALOG.acts_on(subject):
            for move, after in states.steps(row, before):
                said = f" ({', '.join(sorted(move.codes))})" if move.codes else ""
                named.setdefault((before, after), []).append(f"{row.name}{said}")
    return named


def _moves(row: Act) -> tuple[str, str, str]:
    """Return the states in which an act is permitted, its resulting states, and its messages."""
    every, before = states.states(row.subject), states.may_come_in(row)
    leads = {"*stays*" if after == state else after for state in before for _, after in states.steps(row, state)}
    messages = {f"`{each.message.name}`" for each in told(row) if each.message}
    where = "nothing yet" if states.begins(row) else _among(before, every)
    return where, _listed(leads or before), _listed(messages)


def _is_told(row: Act) -> bool:
    """Return whether it is the sender's act, applied by its recipient's service."""
    return row.track is Track.OFFER and row.message is not None


def _among(some: Collection[str], every: Collection[str]) -> str:
    """List some of all states, or the remaining ones if they are fewer."""
    others = set(every) - set(some)
    if not others:
        return "any"
    return f"any but {_listed(others)}" if len(others) < len(some) and len(others) <= _FEW else _listed(some)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
