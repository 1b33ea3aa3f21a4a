"""PostgreSQL and Kafka of one state directory: started, provisioned and described by `Endpoints`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

from deploy.devstack.jars import ensure_jars
from deploy.devstack.process import ForkServer, Server
from deploy.devstack.servers import KafkaNode, KafkaRuntime, PostgresServer, answers_metadata, find_java, provision
from deploy.devstack.state import DevStackSettings, StateDirectory, port_is_free
from deploy.kafka.provision import manifest_in, manifest_of
from deploy.site.access import Finding, accepts, asked, prepare_databases
from deploy.site.endpoints import ADMIN, DatabaseEndpoint, Endpoints, KafkaEndpoint
from deploy.site.open import Site
from deploy.site.settings import SAMPLE_INSTANCES, party_kinds
from shared.core.errors import Refused, Unavailable

PartT = TypeVar("PartT")


def say_on_stderr(text: str) -> None:
    """Print progress for a person, one line at a time."""
    print(text, file=sys.stderr, flush=True)


class DevStack:
    """A context manager: inside it both servers run, and no other stack may use the state directory.

    Every call blocks; calls that may take long can be made from any thread. `endpoints` is available from `start` on.
    """

    def __init__(
        self,
        state_dir: Path,
        settings: DevStackSettings | None = None,
        say: Callable[[str], None] = say_on_stderr,
        *,
        instances: Mapping[str, str] = SAMPLE_INSTANCES,
        forking: bool = False,
        fill_databases: Callable[[Endpoints], None] | None = None,
    ) -> None:
        """Prepare the stack. `instances`: kinds by instance name.

        `forking`: start a fork server for the instances. `fill_databases` is called as soon as the databases answer,
        while Kafka is still starting.
        """
        self.state = StateDirectory(state_dir)
        self._settings = settings or DevStackSettings()
        self._say = say
        self._instances = dict(instances)
        self._manifest = manifest_of(party_kinds(instances))
        self._forking = forking
        self._fill_databases = fill_databases
        #: The fork server, if the running stack has one.
        self.forks: ForkServer | None = None
        self._kafka: KafkaNode | None = None
        self._postgres: PostgresServer | None = None
        self._endpoints: Endpoints | None = None
        self._ports: set[int] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def kafka(self) -> KafkaNode:
        """Return the embedded node. Raises `Unavailable` if the stack uses another Kafka."""
        return _started(self._kafka, "kafka_not_embedded", "the stack was given a Kafka, or is not started")

    @property
    def postgres(self) -> PostgresServer:
        """Return the embedded server. Raises `Unavailable` if the stack uses other databases."""
        return _started(self._postgres, "postgres_not_embedded", "the stack was given its databases, or is not started")

    @property
    def endpoints(self) -> Endpoints:
        """Return all addresses. Raises `Unavailable` before `start`."""
        return _started(self._endpoints, "stack_not_started", "start the stack first")

    def start(self) -> None:
        """Start both servers, provision them and write the endpoints file. After an error no process runs."""
        self.state.acquire()
        try:
            if self._forking:
                self.forks = ForkServer(self.state.begin_log("fork-server"), lock=self.state.children_lock)
                self.forks.spawn()
            self._build()
            servers = self._servers()
            # Start both at once, then wait for both: each makes its data directory first, in a separate process.
            with ThreadPoolExecutor(max_workers=2) as threads:
                list(threads.map(lambda server: server.spawn(), servers.values()))
            databases, admin_url = self._databases()
            pids = {name: server.pid for name, server in servers.items() if server.pid is not None}
            self._endpoints = Endpoints(
                kafka=self._given_kafka() if self._kafka is None else self._kafka.endpoint,
                databases=databases,
                database_admin_url=admin_url,
                http=self._addresses("http"),
                metrics=self._addresses("metrics"),
                kinds={name: kind for name, kind in self._instances.items() if name != kind},
                pids={"supervisor": os.getpid()} | pids,
                state=self.state.path,
            )
            if self._fill_databases is not None:
                self._fill_databases(self._endpoints)
            if self._kafka is not None:
                self._kafka.wait_ready()
            self._endpoints.save(self.state.path)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the servers and release the state directory; the data stays."""
        if self.forks is not None:
            self.forks.stop()
        with ThreadPoolExecutor(max_workers=2) as threads:
            stopped = [threads.submit(server.stop) for server in self._servers().values()]
        self.state.release()
        for each in stopped:
            each.result()

    def ended(self) -> str | None:
        """Return the name of an embedded server that does not run any more, if there is one."""
        return next((name for name, server in self._servers().items() if not server.running()), None)

    def _servers(self) -> Mapping[str, Server]:
        servers = {"kafka": self._kafka, "postgres": self._postgres}
        return {name: server for name, server in servers.items() if server is not None}

    def _addresses(self, of: str) -> dict[str, str]:
        return {name: f"http://127.0.0.1:{self.state.port(f'{of}/{name}', self._ports)}" for name in self._instances}

    def _build(self) -> None:
        self._ports.clear()
        # A restarted stack gives the instances of the last published directory the same resources again.
        if (published := self.state.path / "directory.json").exists():
            self._manifest = manifest_in(published.read_bytes())
        if self._settings.database_url is None and self._instances.keys() - self._settings.causeway_database_urls:
            self._postgres = PostgresServer(self.state, port=self.state.port("postgres", self._ports))
        if self._settings.kafka_bootstrap_servers is None:
            cache = self._settings.causeway_cache_dir.resolve()
            java = find_java(self._settings.java_home)
            owner = sha256(str(self.state.path).encode()).hexdigest()[:8]
            runtime = KafkaRuntime(java, ensure_jars(cache / "jars", self._say), archives=cache / "java", owner=owner)
            ports = self.state.port("kafka", self._ports), self.state.port("kafka/controller", self._ports)
            secure = self._settings.causeway_dev_secure
            self._kafka = KafkaNode(self.state, runtime, manifest=self._manifest, ports=ports, secure=secure)

    def _databases(self) -> tuple[dict[str, DatabaseEndpoint], str | None]:
        given = {n: url for n, url in self._settings.causeway_database_urls.items() if n in self._instances}
        admin_url = self._settings.database_url
        if self._postgres is not None:
            self._postgres.wait_ready()
            admin_url = self._postgres.admin_url
        wanted = [name for name in self._instances if name not in given]
        made: dict[str, DatabaseEndpoint] = {}
        if admin_url is not None and wanted:
            made = prepare_databases(admin_url, wanted, lambda role: self.state.password(f"postgres/{role}"))
        # A given URL is used for all three roles of its instance: its owner decides about its rights.
        made |= {n: DatabaseEndpoint(service_url=url, owner_url=url, accountant_url=url) for n, url in given.items()}
        return {name: made[name] for name in self._instances if name in made}, admin_url

    def _given_kafka(self) -> KafkaEndpoint:
        password = self._settings.causeway_dev_kafka_admin_password
        passwords = {name: self.state.password(f"kafka/{name}") for name in self._manifest.principals}
        secure, ca_file = self._settings.causeway_dev_secure, self._settings.causeway_dev_kafka_ca_file
        if secure and password is None:
            raise Refused("kafka_admin_password_missing", "a given secure Kafka needs `admin` and its password")
        endpoint = KafkaEndpoint(
            bootstrap_servers=self._settings.kafka_bootstrap_servers or "",
            security_protocol="PLAINTEXT" if password is None else "SASL_SSL" if secure else "SASL_PLAINTEXT",
            ca_file=ca_file.resolve() if secure and ca_file is not None else None,
            passwords={} if password is None else passwords | {ADMIN: password},
        )
        if not answers_metadata(endpoint):
            raise Unavailable("kafka_not_reachable", "the given Kafka refuses `admin`: check address and password")
        provision(endpoint, self._manifest)
        return endpoint


def _started(part: PartT | None, code: str, detail: str) -> PartT:
    if part is None:
        raise Unavailable(code, detail)
    return part


def examine_stack(site: Site) -> list[Finding]:
    """Check the ports and the Java of a stack. Blocks."""
    return asked("ports", _ports, site) + asked("java", _java, site.endpoints)


def _ports(site: Site) -> Iterator[Finding]:
    """Check the ports.

    They answer while the stack runs; otherwise they are free, or its next start takes others.
    """
    running = StateDirectory(site.state).supervisor_pid() is not None
    if not running:
        yield Finding("stack", "stack_not_started", "the stack does not run: `causeway dev up`")
    urls = {f"{name} api": url for name, url in site.endpoints.http.items()}
    urls |= {f"{name} metrics": url for name, url in site.endpoints.metrics.items()}
    for what, url in urls.items():
        host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
        if running and not accepts(host, port):
            yield Finding(what, "port_silent", f"no process listens at port {port}: see the log of this instance")
        elif not running and not port_is_free(port):
            yield Finding(what, "port_taken", f"a process outside this stack listens at port {port}")
        elif running:  # a free port is good only while the stack does not run
            yield Finding(what)


def _java(endpoints: Endpoints) -> Iterator[Finding]:
    """Check Java, which only a stack with its own Kafka needs."""
    if "kafka" in endpoints.pids:
        find_java(DevStackSettings().java_home)
        yield Finding("java")
