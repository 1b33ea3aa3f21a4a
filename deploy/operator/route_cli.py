"""`causeway route`: where referrals would go, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App
from cyclopts.types import ExistingFile

from client.cli import output
from client.cli.settings import zoned
from deploy.site.options import Options, ending
from shared.kernel.clock import SystemClock

if TYPE_CHECKING:
    from deploy.operator.routes import Routed

route_app = App(name="route")
_OPTIONS = Options()


@route_app.command
def preview(file: ExistingFile, /, *, origin: str | None = None, options: Options = _OPTIONS) -> int:
    """Say where each referral of a file would go if it were filed now.

    Parameters
    ----------
    file
        Referrals as .jsonl or .json.
    origin
        The party that files the rows which do not name one.
    """
    with ending(options):
        found = _routed(file, options, origin=origin)
        if options.json:
            output.document({"referrals": [each.as_json() for each in found]})
        else:
            output.table(("row", "disposition", "recipient", "purpose", "reason"), list(_edge_rows(found)))
        return _all_routed(found)


@route_app.command
def explain(file: ExistingFile, /, *, origin: str | None = None, options: Options = _OPTIONS) -> int:
    """Say what every rule did to each referral of a file, as of now. Arguments as for preview."""
    with ending(options):
        return _explained(_routed(file, options, origin=origin), options)


@route_app.command
def replay(
    file: ExistingFile,
    /,
    *,
    at: datetime,
    observed_on: date | None = None,
    origin: str | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Say what every rule would have done on another day, with the law of that day. Other arguments as for preview.

    Parameters
    ----------
    at
        A day, or a time; UTC if it names no zone.
    observed_on
        As if it had been observed on that day: some law is judged by it, and deciding later does not move that.
    """
    with ending(options):
        found = _routed(file, options, origin=origin, at=zoned(at), observed_on=observed_on)
        return _explained(found, options)


@route_app.command(name="dry-run")
def dry_run(
    policy: ExistingFile, file: ExistingFile, /, *, origin: str | None = None, options: Options = _OPTIONS
) -> int:
    """Say what another policy would change for the referrals of a file. Rows that would be refused are left out.

    Parameters
    ----------
    policy
        The other policy, as .json.
    """
    with ending(options):
        from deploy.operator.routes import Router, comparison_json
        from deploy.site.open import state_directory

        router = Router(state_directory(options))
        found = comparison_json(router.dry_run(policy.read_bytes(), file, now=SystemClock().now(), origin=origin))
        if options.json:
            output.document(found)
        else:
            output.line(f"{found['changed']} of {found['referrals']} referrals would be routed otherwise")
            columns = ("recipient", "purpose", "count")
            rows = [
                (name, *(each[column] for column in columns))
                for name in ("gained", "lost", "altered")
                for each in found[name]
            ]
            output.table(("edge", *columns), rows)
            output.table(("rule", "direction", "count"), [tuple(each.values()) for each in found["rules"]])
        return output.DONE


def _routed(
    file: Path,
    options: Options,
    *,
    origin: str | None,
    at: datetime | None = None,
    observed_on: date | None = None,
) -> list[Routed]:
    from deploy.operator.routes import Router
    from deploy.site.open import state_directory

    router = Router(state_directory(options))
    return list(router.explain(file, now=SystemClock().now(), at=at, observed_on=observed_on, origin=origin))


def _explained(found: Sequence[Routed], options: Options) -> int:
    from shared.routing.explain import explanation_text

    if options.json:
        output.document({"referrals": [each.as_json() for each in found]})
    else:
        for each in found:
            text = explanation_text(each.explanation) if each.explanation is not None else f"refused: {each.refusal}"
            output.line(f"row {each.number}: {text}")
    return _all_routed(found)


def _all_routed(found: Sequence[Routed]) -> int:
    return output.DONE if all(each.refusal is None for each in found) else output.FAILED


def _edge_rows(found: Sequence[Routed]) -> Iterator[tuple[object, ...]]:
    for each in found:
        if each.explanation is None:
            yield each.number, "refused", "", "", each.refusal
            continue
        said = each.explanation
        edges = said["edges"] or [{"recipient": "", "purpose": "", "reason": said["work_reason"]}]
        for edge in edges:
            yield each.number, said["disposition"], edge["recipient"], edge["purpose"], edge["reason"]
