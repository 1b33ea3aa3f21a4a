"""`causeway install`: the folders of an installation without a development stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, Parameter

from deploy.operator import folder as folders
from deploy.site.options import PLAIN, Listing, Output, PlainOptions, verb
from shared.core.clock import SystemClock

install_app = App(name="install", default_parameter=Parameter(negative=""))


@verb(install_app)
def init(
    folder: Path,
    /,
    *,
    kind: str,
    instance: str | None = None,
    url: str,
    port: int,
    database: str,
    database_ca: Path,
    kafka: str,
    kafka_ca: Path,
    approver: Sequence[Path],
    options: PlainOptions = PLAIN,
) -> Output:
    """Make the folder of an instance: its settings, its keys, its passwords, and its card for other operators.

    Parameters
    ----------
    folder
        A new folder, at its final path.
    kind
        The kind of service: hotline, law_enforcement, industry or audit.
    instance
        Its name in the directory; default is the name of its kind.
    url
        Its address for parties.
    port
        Its port on this machine; TLS ends in front of it.
    database
        PostgreSQL, as host:port.
    database_ca
        Certificates of the authority that verifies PostgreSQL.
    kafka
        Kafka, as host:port, several separated by commas.
    kafka_ca
        Certificates of the authority that verifies Kafka.
    approver
        Card of an approver; repeat for each, at least two. Compare key ids with them by voice.
    """
    place = folders.InstanceAddress(kind, instance or kind, url, port)
    servers = folders.Servers(kafka, kafka_ca, database, database_ca)
    card = folders.make_instance_folder(folder, place, servers, approvers=approver, at=SystemClock().now())
    return _printed(card, f"{folder}: give public.json and secrets/kafka to the operator of the exchange's Kafka")


@verb(install_app)
def exchange(
    folder: Path,
    /,
    *,
    kafka: str,
    kafka_ca: Path,
    admin_password: Path,
    approver: Sequence[Path],
    options: PlainOptions = PLAIN,
) -> Output:
    """Make the folder of the operator of the exchange: of its Kafka, documents and heartbeats.

    Parameters
    ----------
    folder
        A new folder.
    kafka
        Kafka, as host:port, several separated by commas.
    kafka_ca
        Certificates of the authority that verifies Kafka.
    admin_password
        File with the password of `admin`, the super user of Kafka.
    approver
        Card of an approver; repeat for each, at least two. Compare key ids with them by voice.
    """
    at = SystemClock().now()
    folders.make_exchange_folder(
        folder, kafka, kafka_ca=kafka_ca, admin_password=admin_password, approvers=approver, at=at
    )
    return Output({"folder": str(folder)}, [f"{folder}: `causeway install admit` admits each instance"])


@verb(install_app)
def admit(folder: Path, card: Path, /, *, password: Path | None = None, options: PlainOptions = PLAIN) -> Output:
    """Admit an instance to the exchange's folder.

    The next `directory assemble` includes it in the directory.

    Parameters
    ----------
    folder
        The folder of the exchange.
    card
        The instance's public.json. Compare its key ids with its operator by voice.
    password
        Its secrets/kafka; not needed for an instance that was admitted before.
    """
    return _printed(folders.admit(folder, card, password=password))


@verb(install_app)
def database(folder: Path, /, *, admin_url: Path, options: PlainOptions = PLAIN) -> Output:
    """Make the database of a folder's instance, and its three roles.

    A repetition sets their passwords again.

    Parameters
    ----------
    folder
        The folder of the instance.
    admin_url
        File with the postgresql:// address of a role with CREATEDB and CREATEROLE.
    """
    name = folders.make_database(folder, admin_url)
    text = f"causeway_{name} exists; `causeway db migrate --site {folder}/site.json` makes its tables"
    return Output({"instance": name}, [text])


def _printed(card: folders.IdentityCard, *text: str) -> Output:
    keys = Listing(("key id", "for"), [(key.key_id, key.use) for key in card.instance.keys])
    return Output(card.model_dump(mode="json", exclude_none=True), [keys, *text])
