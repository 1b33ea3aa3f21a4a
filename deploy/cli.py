"""The program `causeway`: the operator's commands, and the commands of a party's people and machines."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import date
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from client.cli.output import hide_values
from client.cli.verb_table import table
from deploy import __version__
from deploy.devstack.cli import dev_app
from deploy.site.options import OPTIONS, Listing, Options, Output, exit_on_coded_error, verb
from shared.core.errors import Refused

if TYPE_CHECKING:
    from deploy.devstack.supervisor import Child
    from deploy.site.endpoints import Endpoints

_VERBS = loads(Path(__file__).with_name("verbs.json").read_text(encoding="utf-8"))
app = App(
    name="causeway",
    help="Exchange referrals between hotlines, law enforcement and industry.",
    version=__version__,
    error_formatter=hide_values,
)


def main() -> None:
    """Run the program: exit code 0 done, 1 refused or failed, 2 wrong usage."""
    words = site_last(sys.argv[1:])
    with exit_on_coded_error(OPTIONS):
        try:
            code = app(words)
        finally:
            # An unread output error is raised here, before Python itself reports it at exit.
            sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else 0)


def site_last(words: list[str]) -> list[str]:
    """Move `--site FILE` from before the command to the end of the call, where it is read."""
    if words and words[0].startswith("--site="):
        return [*words[1:], words[0]]
    return [*words[2:], *words[:2]] if words[:1] == ["--site"] else words


def _children(endpoints: Endpoints) -> Sequence[Child]:
    from deploy.devstack.state import DevStackSettings
    from deploy.stack_children import instance_children

    return instance_children(DevStackSettings().causeway_dev_state_dir, endpoints, migrated=True)


def _migrate(endpoints: Endpoints) -> None:
    from deploy.site.installation import migrate_databases

    migrate_databases(endpoints)


app.register_install_completion_command()
stack_app = dev_app(_children, _migrate)
app.command(stack_app)
# `verbs.json` lists the module of each command, which is loaded when it is called, and its help text.
for program, verbs in ((stack_app, _VERBS["dev"]), (app, _VERBS["causeway"])):
    for named, one in verbs.items():
        program.command(one["loads"], name=named, help=one["help"])
for named, group in table()["groups"].items():
    app.command(f"client.cli.verbs:{named}", name=named, help=group["help"])


@verb(app)
def doctor(*, options: Options = OPTIONS) -> Output:
    """Check files, ports, Java, logins, topics, rights, durability, schemas, documents.

    Exit 1 if there is a fault.
    """
    from deploy.devstack.stack import examine_stack
    from deploy.operator.doctor import examine
    from deploy.site.open import site

    found = examine(site(options), examine_stack)
    rows = [(each.what, each.code or "well", each.advice) for each in found]
    document = {"findings": [each.as_json() for each in found]}
    return Output(document, [Listing(("what", "found", "what to do"), rows)], well=all(each.well for each in found))


@app.command
def serve(kind: str, *, instance: str | None = None, only: Sequence[str] = ()) -> int:
    """Run one instance until it is asked to stop.

    Parameters
    ----------
    kind
        The kind of service, for example industry.
    instance
        Its name in the directory, by default the name of its kind. Its settings are CAUSEWAY_INSTANCE_… in the
        environment, with that name in capitals for INSTANCE.
    only
        Parts to run instead of all, separated by commas: api, documents, timers, relay, courier,
        consumer, moves, metrics.
    """
    from deploy.serve import serve as run

    with exit_on_coded_error(OPTIONS):
        return run(kind, instance or kind, [part for listed in only for part in listed.split(",")])


@app.command
def sample(
    *,
    start: Annotated[date, Parameter(name="--from")] = date(2026, 3, 15),
    end: Annotated[date, Parameter(name="--to")] = date(2026, 4, 20),
    count: int = 2000,
    seed: int = 1,
    dirty: str = "1%",
    out: Path | None = None,
) -> int:
    """Draw sample referrals from the published tables, as JSON lines.

    Parameters
    ----------
    dirty
        Share of referrals with an unknown code, for example 1%.
    out
        File to write; default is standard output.
    """
    from deploy.sample.generator import sample_referrals, write_jsonl

    with exit_on_coded_error(OPTIONS):
        share = _share(dirty)
        if count < 0:
            raise Refused("count_malformed", "0 or more", field="--count", status=400)
        if end < start:
            raise Refused("days_reversed", "not before --from", field="--to", status=400)
    written = write_jsonl(
        out or Path("/dev/stdout"), sample_referrals(start=start, end=end, count=count, seed=seed, dirty=share)
    )
    print(f"{written} referrals", file=sys.stderr)
    return 0


def _share(text: str) -> float:
    """Return `1%` as 0.01."""
    percent = text.removesuffix("%")
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", percent) or float(percent) > 100:
        raise Refused("share_malformed", "--dirty is a percentage from 0% to 100%", status=400)
    return float(percent) / 100


@app.command
def demo(*, json: Path | None = None, count: int = 600, state: Path | None = None) -> int:
    """Run the whole exchange on sample parties: import, route, answer, withdraw, reconcile.

    Parameters
    ----------
    json
        Also write everything that is printed as JSON to this file.
    count
        Number of the 600 sampled referrals to import.
    state
        Directory of the demo's servers and files, emptied first; default .state/demo.
    """
    from deploy.demo.run import STATE, run_demo

    return run_demo(json, count, (state or STATE).resolve())


if __name__ == "__main__":
    main()
