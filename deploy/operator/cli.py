"""The operator's verbs over one installation: its status and health, its cluster, databases, documents, keys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from cyclopts.types import ExistingFile

from client.cli import output
from client.cli.settings import zoned
from deploy.operator import law_cli
from deploy.site.options import Options, ending
from shared.kernel.errors import Refused

if TYPE_CHECKING:
    from deploy.operator.database import SchemaState

status_app = App(name="status")
topics_app = App(name="topics")
db_app = App(name="db")
policy_app = App(name="policy")
directory_app = App(name="directory")
policy_app.command(law_cli.check)
policy_app.command(law_cli.review)
policy_app.command(law_cli.sample)
directory_app.command(law_cli.assemble)
directory_app.command(law_cli.beat)
_OPTIONS = Options()


@status_app.default
def status(*urls: str, options: Options = _OPTIONS) -> int:
    """Ask every instance; exit code 1 if one is not ready.

    Parameters
    ----------
    urls
        Base addresses of instances to ask instead of those of the stack; these show no figures.
    """
    with ending(options):
        from deploy.operator.status import FIGURES, ask_instances
        from deploy.site.open import site

        endpoints = None if urls else site(options).endpoints
        asked = {url: url for url in urls} if endpoints is None else endpoints.http
        found = asyncio.run(ask_instances(asked, {} if endpoints is None else endpoints.metrics))
        if options.json:
            output.document({"instances": [each.as_json() for each in found]})
        else:
            figures = list(FIGURES.values())
            rows = [
                (each.name, "yes" if each.ready else "NO", *(_figure(each.figures.get(name)) for name in figures))
                for each in found
            ]
            output.table(("instance", "ready", *figures), rows)
            for each in found:
                for reason in each.reasons():
                    output.line(f"{each.name}: {reason}")
        return output.DONE if all(each.ready for each in found) else output.FAILED


@topics_app.command
def diff(*, directory: ExistingFile | None = None, options: Options = _OPTIONS) -> int:
    """Say how the cluster differs from what the directory's instances need; exit code 1 if it does.

    Parameters
    ----------
    directory
        A directory, as .json, instead of the one that was published last from the state directory.
    """
    with ending(options):
        from deploy.operator.topics import as_json, find_difference, wanted_manifest
        from deploy.site.open import site

        here = site(options)
        found = find_difference(here.endpoints.kafka, wanted_manifest(here, directory))
        _print_difference(as_json(found), options)
        return output.FAILED if found else output.DONE


@topics_app.command(name="apply")
def apply_(*, directory: ExistingFile | None = None, options: Options = _OPTIONS) -> int:
    """Give the directory's instances their topics, passwords and rights, and print what differed. Partitions stay.

    Parameters
    ----------
    directory
        A directory, as .json, that is not published yet: so its instances find their topics when it takes effect.
    """
    with ending(options):
        from deploy.operator.topics import apply_manifest, as_json, wanted_manifest
        from deploy.site.open import site

        here = site(options)
        _print_difference(as_json(apply_manifest(here.endpoints.kafka, wanted_manifest(here, directory))), options)
        return output.DONE


@db_app.command
def migrate(*names: str, options: Options = _OPTIONS) -> int:
    """Bring databases to the newest schema, of all instances or of those named. Doing it again changes nothing."""
    with ending(options):
        from deploy.operator.database import chosen, migrate_schemas
        from deploy.site.open import owned_databases

        before = migrate_schemas(chosen(owned_databases(options), names))
        _print_schemas(before, options, done="migrated")
        return output.DONE


@db_app.command(name="check")
def check_schema(*names: str, options: Options = _OPTIONS) -> int:
    """Compare each database, object by object, with what the newest revision makes; exit code 1 if one differs."""
    with ending(options):
        from deploy.operator.database import check_schemas, chosen
        from deploy.site.open import owned_databases

        found = check_schemas(chosen(owned_databases(options), names))
        _print_schemas(found, options, done="BEHIND")
        return output.DONE if all(each.current for each in found) else output.FAILED


@policy_app.command
def publish(file: ExistingFile, /, *, at: datetime | None = None, options: Options = _OPTIONS) -> int:
    """Check a policy, approve it with the approvers' keys of the state directory, and publish it to every instance.

    Parameters
    ----------
    file
        The policy, as .json.
    at
        When it takes effect; now if no time is given. UTC if it names no zone.
    """
    return _publish("policy", file, at, options=options)


@directory_app.command(name="publish")
def publish_directory(file: ExistingFile, /, *, at: datetime | None = None, options: Options = _OPTIONS) -> int:
    """Check a directory, approve it with the approvers' keys of the state directory, and publish it to every instance.

    Parameters
    ----------
    file
        The directory, as .json; the one in force is directory.json of the state directory.
    at
        When it takes effect; now if no time is given. UTC if it names no zone.
    """
    return _publish("directory", file, at, options=options)


@directory_app.command
def move(
    party: str,
    instance: str,
    /,
    *,
    out: Path = Path("next-directory.json"),
    publish: Annotated[bool, Parameter(negative="")] = False,
    at: datetime | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Write the next directory, in which another instance serves a party, for `directory publish`.

    The party moves when that takes effect. Its API keys do not move with it: `causeway key issue`, afterwards.

    Parameters
    ----------
    party
        The party, of the kind that the instance serves.
    instance
        The instance that is to serve it.
    out
        File to write.
    publish
        Approve it with the approvers' keys of the state directory, and publish it, as `directory publish` does.
    at
        With --publish: when it takes effect; now if no time is given. UTC if it names no zone.
    """
    with ending(options):
        from deploy.operator.documents import next_directory
        from deploy.site.open import site

        if at is not None and not publish:
            raise Refused("time_without_publishing", "--at goes with --publish", status=400)
        body = next_directory(site(options), party, instance)
        out.write_bytes(body)
        if publish:
            return _publish("directory", out, at, options=options)
        if options.json:
            output.document({"file": str(out), "party": party, "instance": instance})
        else:
            output.line(f"{out}: `causeway directory publish {out}` moves {party} to {instance}")
        return output.DONE


def _publish(kind: str, file: Path, at: datetime | None, *, options: Options) -> int:
    with ending(options):
        from deploy.operator.documents import publish_file
        from deploy.site.open import site

        activated = publish_file(site(options), kind, file.read_bytes(), active_from=zoned(at))
        if options.json:
            output.document(activated.model_dump(mode="json"))
        else:
            output.line(f"published {activated.digest}, in force from {activated.active_from.isoformat()}")
        return output.DONE


def _print_difference(found: Mapping[str, Sequence[str]], options: Options) -> None:
    if options.json:
        output.document(found)
    else:
        output.table(("what", "which"), [(name, each) for name, differing in found.items() for each in differing])


def _print_schemas(found: Sequence[SchemaState], options: Options, *, done: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "instance": each.instance,
            "at": list(each.at),
            "newest": list(each.heads),
            "current": each.current,
            "differing": list(each.differing),
        }
        for each in found
    ]
    if options.json:
        output.document({"databases": rows})
        return
    output.table(
        ("database", "at", "newest", ""),
        [(row["instance"], " ".join(row["at"]), " ".join(row["newest"]), _word(row, done=done)) for row in rows],
    )
    for row in rows:
        for each in row["differing"]:
            output.line(f"{row['instance']}: {each}")


def _word(row: dict[str, Any], *, done: str) -> str:
    """What to say of a database beside its revisions."""
    if row["differing"]:
        return "DIFFERS"
    return "" if row["current"] else done


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
