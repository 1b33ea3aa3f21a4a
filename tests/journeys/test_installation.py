"""The operator's guide, command by command: external servers, two operators, two approvers, one referral."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import stat
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from deploy.devstack import servers
from deploy.devstack.jars import ensure_jars
from deploy.devstack.state import DevStackSettings, StateDirectory
from deploy.kafka.provision import Manifest
from deploy.site.endpoints import ADMIN, write_private
from shared.core.clock import SystemClock
from tests.journeys.commands import ROOT, blocks, shell

READY_S_MAX = 600.0
#: The first eight bytes of a PostgreSQL client that wants TLS (protocol 3.0, SSLRequest).
_SSL_REQUEST = struct.pack("!II", 8, 80_877_103)


@dataclass(frozen=True, slots=True)
class Outside:
    """The data that the servers' operators provide: addresses, authorities and administrator credentials."""

    database: str
    database_ca: Path
    database_admin_url: str
    kafka: str
    kafka_ca: Path
    kafka_admin_password: str
    free_ports: tuple[int, ...]


@contextmanager
def outside_servers(folder: Path, *, ports: int) -> Iterator[Outside]:
    """Start both servers empty, each in a state directory of its own. Reserve `ports` free ports for the test."""
    state = StateDirectory(folder)
    state.acquire()
    taken: set[int] = set()
    port = {name: state.port(name, taken) for name in ("tls", "postgres", "kafka", "kafka/controller")}
    postgres = servers.PostgresServer(state, port=port["postgres"])
    settings = DevStackSettings()
    cache = settings.causeway_cache_dir.resolve()
    jars = ensure_jars(cache / "jars", lambda _: None)
    owner = sha256(str(folder).encode()).hexdigest()[:8]
    runtime = servers.KafkaRuntime(servers.find_java(settings.java_home), jars, archives=cache / "java", owner=owner)
    pair = port["kafka"], port["kafka/controller"]
    # An empty manifest: only the administrator's own user and rules.
    kafka = servers.KafkaNode(state, runtime, manifest=Manifest({}, {}), ports=pair, secure=True)
    identity, authority = servers.make_certificates(state.part("tls"), name="database", clock=SystemClock())
    try:
        kafka.spawn()
        postgres.start()
        _wait_for(kafka)
        with _tls_before(port["postgres"], at=port["tls"], identity=identity):
            place = f"127.0.0.1:{port['tls']}"
            password = state.password("postgres/admin")
            yield Outside(
                database=place,
                database_ca=authority,
                database_admin_url=f"postgresql://{ADMIN}:{password}@{place}/postgres"
                f"?sslmode=verify-full&sslrootcert={authority}",
                kafka=kafka.endpoint.bootstrap_servers,
                kafka_ca=kafka.endpoint.ca_file or Path(),
                kafka_admin_password=kafka.endpoint.password(ADMIN),
                free_ports=tuple(state.port(f"free/{number}", taken) for number in range(ports)),
            )
    finally:
        kafka.stop()
        postgres.stop()
        state.release()


def _wait_for(kafka: servers.KafkaNode) -> None:
    """Wait until Kafka accepts its administrator. Nothing is provisioned."""
    deadline = time.monotonic() + READY_S_MAX
    while not servers.answers_metadata(kafka.endpoint):
        assert kafka.running(), "Kafka has ended"
        assert time.monotonic() < deadline, "Kafka is not ready"
        time.sleep(0.1)


def private(path: Path, text: str) -> Path:
    """Write a file that holds a secret."""
    write_private(path, text)
    return path


@contextmanager
def _tls_before(port: int, *, at: int, identity: Path) -> Iterator[None]:
    """Terminate PostgreSQL's TLS in front of it, because the packaged server was built without TLS.

    Clients that do not request TLS are disconnected.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    ready, over = Event(), Event()
    with ThreadPoolExecutor(max_workers=1) as thread:
        running = thread.submit(asyncio.run, _serve_tls(port, at, context, ready=ready, over=over))
        assert ready.wait(60), "the port was not opened"
        try:
            yield
        finally:
            over.set()
            running.result()


async def _serve_tls(port: int, at: int, context: ssl.SSLContext, *, ready: Event, over: Event) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(len(_SSL_REQUEST)) == _SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", at)
    ready.set()
    await asyncio.to_thread(over.wait)
    server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


GUIDE = ROOT / "docs" / "guides" / "operator.md"
pytestmark = pytest.mark.long

INSTANCES = ("north/hotline", "north/audit", "south/agency")
STOP_S_MAX = 120.0
#: The guide takes a minute of one core.
GUIDE_S_MAX = 1_800.0


@contextmanager
def followed(folder: Path, outside: Outside) -> Iterator[None]:
    """Run the guide from its first command to its last, in one shell. Stop its processes at the end."""
    here = folder / "place"
    here.mkdir()
    (here / "database-ca.pem").write_bytes(outside.database_ca.read_bytes())
    (here / "kafka-ca.pem").write_bytes(outside.kafka_ca.read_bytes())
    private(here / "database-admin.url", outside.database_admin_url)
    private(here / "kafka-admin.password", outside.kafka_admin_password)
    sample = {"db.example:5432": outside.database, "kafka.example:9093": outside.kafka}
    sample |= {str(8101 + number): str(port) for number, port in enumerate(outside.free_ports)}
    try:
        commands = [replaced(line, sample) for block in blocks(GUIDE) for line in block]
        shell(here, *commands, seconds_max=GUIDE_S_MAX)
        yield
    finally:
        end(here)


def replaced(line: str, sample: dict[str, str]) -> str:
    for shown, ours in sample.items():
        line = line.replace(shown, ours)
    return line


def end(here: Path) -> None:
    """Stop the processes that the guide started, by the process ids in its files."""
    started = [int(file.read_text()) for file in here.glob("*/*/pid")]
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S_MAX
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        if time.monotonic() > deadline:
            raise TimeoutError("what the guide started does not end")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder in which the whole guide was run. Its processes are running."""
    folder = tmp_path_factory.mktemp("installation")
    with outside_servers(folder / "outside", ports=len(INSTANCES)) as outside, followed(folder, outside):
        yield folder / "place"


def test_a_referral_goes_there_and_back_between_two_operators(place: Path) -> None:
    assert "ongoing" in (place / "answered.txt").read_text()
    assert "causeway.outcome_reported.v1" in (place / "flow.txt").read_text()


def test_nobody_but_the_owner_reads_a_folder_of_an_instance(place: Path) -> None:
    for at in (*INSTANCES, "north/exchange"):
        assert stat.S_IMODE((place / at).stat().st_mode) == 0o700
        secret = [path for path in (place / at).rglob("*") if path.is_file() and path.name not in ("log", "pid")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_an_approver_has_no_key_but_their_own_and_no_operator_has_one(place: Path) -> None:
    keys = [path.name for path in place.rglob("approver-*.key")]
    assert keys == ["approver-one.example.key", "approver-two.example.key"]
    assert not [*place.glob("north/**/approver-*.key"), *place.glob("south/**/approver-*.key")]
