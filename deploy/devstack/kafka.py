"""One Apache Kafka node on loopback: broker and controller in one process, SCRAM and access rules always on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.devstack.certificates import make_certificates
from deploy.devstack.java import KafkaRuntime
from deploy.devstack.process import Process
from deploy.devstack.state import StateDirectory, port_is_free
from deploy.kafka.provision import SCRAM_ITERATIONS, Manifest, apply, difference
from deploy.kafka.quotas import apply_quotas
from deploy.site.access import access_to, admin_client, in_own_thread
from deploy.site.endpoints import ADMIN, KafkaEndpoint, write_private
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Unavailable

_BROKER = "broker"
_READY_S_MAX = 180.0
_STOP_S_MAX = 20.0
_SETTLED_S_MAX = 180.0
_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": os.defpath}
# The cluster keeps its id when its data is deleted: a lost disk does not make it another cluster.
_CLUSTER_ID = "Y2F1c2V3YXktZGV2c3RhYw"


class KafkaNode:
    """The node of one state directory. `spawn` formats its log directory when that is empty or was deleted."""

    def __init__(
        self,
        state: StateDirectory,
        runtime: KafkaRuntime,
        *,
        manifest: Manifest,
        ports: tuple[int, int],
        secure: bool = False,
    ) -> None:
        """`secure`: clients are let in over TLS only, by the certificate of an authority of the stack's own."""
        self._runtime = runtime
        self._manifest = manifest
        self._port, self._controller_port = ports
        self._folder = state.part("kafka")
        self._data = self._folder / "data"
        self._broker_password = state.password(f"kafka/{_BROKER}")
        self._process = Process(
            "kafka", log=state.begin_log("kafka"), death_signal=signal.SIGTERM, lock=state.children_lock
        )
        # Once per stack, not per start: a client that outlives a lost node has read its authority already.
        self._identity, authority = make_certificates(self._folder, name=_BROKER, clock=SystemClock())
        self._authority = authority
        self.endpoint = KafkaEndpoint(
            bootstrap_servers=f"127.0.0.1:{self._port}",
            security_protocol="SASL_SSL" if secure else "SASL_PLAINTEXT",
            ca_file=authority if secure else None,
            passwords={name: state.password(f"kafka/{name}") for name in (ADMIN, *manifest.principals)},
        )

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start it without waiting. Raises `Unavailable("port_in_use")` rather than let a stranger answer for it."""
        if not (port_is_free(self._port) and port_is_free(self._controller_port)):
            raise Unavailable("port_in_use", "a process outside this stack took Kafka's port: end it and start again")
        properties = self._folder / "server.properties"
        write_private(properties, self._properties())
        if not (self._data / "meta.properties").exists():
            self._format(properties)
        self._process.start(self._runtime.command("kafka.Kafka", str(properties), record=True), env=_ENVIRONMENT)

    def wait_ready(self) -> None:
        """Wait until `admin` is answered, then provision. May be called from any thread."""
        self._process.wait_until(lambda: answers_metadata(self.endpoint), seconds=_READY_S_MAX)
        provision(self.endpoint, self._manifest)

    def running(self) -> bool:
        """Whether its process runs; it need not be ready."""
        return self._process.running()

    def stop(self) -> None:
        """End it cleanly."""
        self._process.stop(signal.SIGTERM, seconds=_STOP_S_MAX)
        self._runtime.keep_archive()

    def kill(self) -> None:
        """`kill -9`. The next start takes about 2 s longer: the old registration must expire first."""
        self._process.kill()

    def wipe(self) -> None:
        """Delete all records, users and rules of a node that does not run, as the loss of its disk would."""
        if self.running():
            raise Unavailable("kafka_runs", "stop or kill Kafka before its data is deleted")
        shutil.rmtree(self._data, ignore_errors=True)

    def admin(self) -> AdminClient:
        """A new admin client that acts as the super user."""
        return admin_client(self.endpoint)

    def _format(self, properties: Path) -> None:
        """Write an empty log directory with the two super users. Their passwords never are on a command line."""
        command = self._runtime.command("kafka.tools.StorageTool", "format", record=False)
        command += ["--cluster-id", _CLUSTER_ID, "--config", str(properties)]
        for name, password in ((ADMIN, self.endpoint.passwords[ADMIN]), (_BROKER, self._broker_password)):
            command += ["--add-scram", f"SCRAM-SHA-512=[name={name},iterations={SCRAM_ITERATIONS},password={password}]"]
        java, *arguments = command
        file = self._folder / "format.args"
        write_private(file, "\n".join(f'"{argument}"' for argument in arguments))
        try:
            done = subprocess.run([java, f"@{file}"], env=_ENVIRONMENT, capture_output=True, text=True, check=False)
        finally:
            file.unlink()
        if done.returncode != 0:
            shutil.rmtree(self._data, ignore_errors=True)
            raise Unavailable("kafka_not_formatted", "\n".join((done.stdout + done.stderr).splitlines()[-5:]))

    def _properties(self) -> str:
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        login = f'{scram} username="{_BROKER}" password="{self._broker_password}";'
        return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self._controller_port}
log.dirs={self._data}

listeners=CLIENTS://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{self._controller_port}
advertised.listeners=CLIENTS://127.0.0.1:{self._port}
listener.security.protocol.map=CLIENTS:{self.endpoint.security_protocol},CONTROLLER:SSL
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config={login}
listener.name.controller.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={self._identity}
ssl.truststore.type=PEM
ssl.truststore.location={self._authority}
ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/

authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{_BROKER};User:{ADMIN}
allow.everyone.if.no.acl.found=false
auto.create.topics.enable=false

default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=16777216
"""


def provision(endpoint: KafkaEndpoint, manifest: Manifest) -> None:
    """Apply the manifest and wait until it holds. Raises `Unavailable` when it does not after 10 s.

    The controller acknowledges a change before the broker acts by it. Users are changed in one request, so when one
    of them can log in all can.
    """
    admin, secured, anyone = admin_client(endpoint), bool(endpoint.passwords), next(iter(manifest.principals))
    apply(admin, manifest, endpoint.passwords)
    if secured:
        in_own_thread(apply_quotas(access_to(endpoint), manifest))
    deadline = time.monotonic() + _SETTLED_S_MAX
    while difference(admin, manifest, secured=secured) or not answers_metadata(endpoint, anyone):
        if time.monotonic() > deadline:
            raise Unavailable("kafka_not_provisioned", "the cluster does not act by the manifest that was applied")
        time.sleep(0.05)


def answers_metadata(endpoint: KafkaEndpoint, principal: str = ADMIN) -> bool:
    """Whether the cluster lets `principal` in and tells its metadata."""
    host, _, port = endpoint.bootstrap_servers.split(",")[0].rpartition(":")
    # The plain connection first: a client whose first connection is refused backs off for longer than we wait.
    with suppress(OSError, KafkaException), socket.create_connection((host, int(port)), timeout=1.0):
        return bool(admin_client(endpoint, principal).list_topics(timeout=5.0).brokers)
    return False
