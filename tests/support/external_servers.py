"""Servers that another operator runs: PostgreSQL by SCRAM over TLS, and Kafka by SASL_SSL, both without our objects."""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Event

from deploy.devstack import servers
from deploy.devstack.jars import ensure_jars
from deploy.devstack.state import DevStackSettings, StateDirectory
from deploy.kafka.provision import Manifest
from deploy.site.endpoints import ADMIN, write_private
from shared.core.clock import SystemClock

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
