"""`causeway install`: the folders of an installation without a development stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from client.cli import output
from deploy.site.options import Options, ending
from shared.kernel.clock import SystemClock

install_app = App(name="install")
AsJson = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Print one JSON document instead of text.")
]
Kafka = Annotated[str, Parameter(help="Kafka, as host:port, several separated by commas.")]
KafkaCa = Annotated[Path, Parameter(help="Certificates of the authority by which Kafka is verified.")]
Approvers = Annotated[
    Sequence[Path],
    Parameter(
        negative="", help="Card of an approver; once for each, two at least. Compare key ids with theirs by voice."
    ),
]


@install_app.command
def init(
    folder: Path,
    /,
    *,
    kind: str,
    instance: str | None = None,
    url: str,
    port: int,
    database: Annotated[str, Parameter(help="PostgreSQL, as host:port.")],
    database_ca: Annotated[Path, Parameter(help="Certificates of the authority by which PostgreSQL is verified.")],
    kafka: Kafka,
    kafka_ca: KafkaCa,
    approver: Approvers,
    as_json: AsJson = False,
) -> int:
    """Make the folder of an instance: its settings, its keys, its passwords, and the card that others need of it.

    Parameters
    ----------
    folder
        A new folder, where the instance will find it.
    kind
        Which service it is: hotline, law_enforcement, industry or audit.
    instance
        Its name in the directory; that of its kind if none is given.
    url
        Its address for parties.
    port
        The port that it listens on, on this machine; TLS ends before it.
    """
    with ending(Options(json=as_json)):
        from deploy.operator.folder import Place, Servers, make_instance_folder

        card = make_instance_folder(
            folder,
            Place(kind, instance or kind, url, port),
            Servers(kafka, kafka_ca, database, database_ca),
            approvers=approver,
            at=SystemClock().now(),
        )
        if as_json:
            output.document(card.model_dump(mode="json", exclude_none=True))
        else:
            output.table(("key id", "for"), [(key.key_id, key.use) for key in card.instance.keys])
            output.line(f"{folder}: hand public.json and secrets/kafka to whoever runs the exchange's Kafka")
        return output.DONE


@install_app.command
def exchange(
    folder: Path,
    /,
    *,
    kafka: Kafka,
    kafka_ca: KafkaCa,
    admin_password: Path,
    approver: Approvers,
    as_json: AsJson = False,
) -> int:
    """Make the folder of whoever runs the exchange's Kafka: who provisions it, publishes documents and sends the beat.

    Parameters
    ----------
    folder
        A new folder.
    admin_password
        File with the password of `admin`, the super user of Kafka.
    """
    with ending(Options(json=as_json)):
        from deploy.operator.folder import make_exchange_folder

        at = SystemClock().now()
        make_exchange_folder(folder, kafka, kafka_ca=kafka_ca, admin_password=admin_password, approvers=approver, at=at)
        if as_json:
            output.document({"folder": str(folder)})
        else:
            output.line(f"{folder}: `causeway install admit` takes each instance in")
        return output.DONE


@install_app.command
def admit(folder: Path, card: Path, /, *, password: Path | None = None, as_json: AsJson = False) -> int:
    """Take an instance into the exchange's folder. The directory names it once `directory assemble` was published.

    Parameters
    ----------
    folder
        The folder of the exchange.
    card
        The instance's public.json. Compare its key ids with its operator by voice.
    password
        Its secrets/kafka; not needed again for an instance that was admitted before.
    """
    with ending(Options(json=as_json)):
        from deploy.operator.folder import admit as admitted

        taken = admitted(folder, card, password=password)
        if as_json:
            output.document(taken.model_dump(mode="json", exclude_none=True))
        else:
            output.table(("key id", "for"), [(key.key_id, key.use) for key in taken.instance.keys])
        return output.DONE


@install_app.command
def database(folder: Path, /, *, admin_url: Path, as_json: AsJson = False) -> int:
    """Make the database of a folder's instance, and its three roles. Doing it again sets their passwords.

    Parameters
    ----------
    folder
        The folder of the instance.
    admin_url
        File with the postgresql:// address of a role with CREATEDB and CREATEROLE.
    """
    with ending(Options(json=as_json)):
        from deploy.operator.folder import make_database

        name = make_database(folder, admin_url)
        if as_json:
            output.document({"instance": name})
        else:
            output.line(f"causeway_{name} is there; `causeway db migrate --site {folder}/site.json` makes its tables")
        return output.DONE
