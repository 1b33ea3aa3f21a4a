"""PostgreSQL and Kafka of one state directory, started, provisioned and described by `Endpoints`."""

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
from shared.kernel.errors import Refused, Unavailable

PartT = TypeVar("PartT")


def say_on_stderr(text: str) -> None:
    """Progress for a person, one line at a time."""
    print(text, file=sys.stderr, flush=True)


class DevStack:
    """A context manager: inside it both servers run, and nobody else may use the state directory.

    Every call blocks; those that may take long can be made from any thread. `endpoints` holds from `start` on.
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
        """`instances`: what runs here, by name, and the kind of each. `forking`: start a fork server for them.

        `fill_databases` is called once the databases answer, while Kafka is still starting.
        """
        self.state = StateDirectory(state_dir)
        self._settings = settings or DevStackSettings()
        self._say = say
        self._instances = dict(instances)
        self._manifest = manifest_of(party_kinds(instances))
        self._forking = forking
        self._fill_databases = fill_databases
        #: The fork server of a running stack that has one.
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
        """The embedded node. Raises `Unavailable` when another Kafka was given."""
        return _started(self._kafka, "kafka_not_embedded", "the stack was given a Kafka, or is not started")

    @property
    def postgres(self) -> PostgresServer:
        """The embedded server. Raises `Unavailable` when databases were given."""
        return _started(self._postgres, "postgres_not_embedded", "the stack was given its databases, or is not started")

    @property
    def endpoints(self) -> Endpoints:
        """Where everything is. Raises `Unavailable` before `start`."""
        return _started(self._endpoints, "stack_not_started", "start the stack first")

    def start(self) -> None:
        """Start both servers, provision them and write the endpoints file. On any error nothing is left running."""
        self.state.acquire()
        try:
            if self._forking:
                self.forks = ForkServer(self.state.begin_log("fork-server"), lock=self.state.children_lock)
                self.forks.spawn()
            self._build()
            servers = self._servers()
            # Both at once, then both awaited: each makes its data directory first, in a process of its own.
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
        """Stop what runs and let the state directory go; the data stays."""
        if self.forks is not None:
            self.forks.stop()
        with ThreadPoolExecutor(max_workers=2) as threads:
            stopped = [threads.submit(server.stop) for server in self._servers().values()]
        self.state.release()
        for each in stopped:
            each.result()

    def ended(self) -> str | None:
        """The name of an embedded server that does not run (any more), if there is one."""
        return next((name for name, server in self._servers().items() if not server.running()), None)

    def _servers(self) -> Mapping[str, Server]:
        servers = {"kafka": self._kafka, "postgres": self._postgres}
        return {name: server for name, server in servers.items() if server is not None}

    def _addresses(self, of: str) -> dict[str, str]:
        return {name: f"http://127.0.0.1:{self.state.port(f'{of}/{name}', self._ports)}" for name in self._instances}

    def _build(self) -> None:
        self._ports.clear()
        # Restarted, a stack gives the instances of the directory that was published last what they had.
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
        # A given URL stands for all three roles of its instance: whoever gave it decides what it may do.
        made |= {n: DatabaseEndpoint(service_url=url, owner_url=url, accountant_url=url) for n, url in given.items()}
        return {name: made[name] for name in self._instances if name in made}, admin_url

    def _given_kafka(self) -> KafkaEndpoint:
        password = self._settings.causeway_dev_kafka_admin_password
        passwords = {name: self.state.password(f"kafka/{name}") for name in self._manifest.principals}
        secure, ca_file = self._settings.causeway_dev_secure, self._settings.causeway_dev_kafka_ca_file
        if secure and password is None:
            raise Refused("kafka_admin_password_missing", "a secure Kafka that is given needs `admin` and its password")
        endpoint = KafkaEndpoint(
            bootstrap_servers=self._settings.kafka_bootstrap_servers or "",
            security_protocol="PLAINTEXT" if password is None else "SASL_SSL" if secure else "SASL_PLAINTEXT",
            ca_file=ca_file.resolve() if secure and ca_file is not None else None,
            passwords={} if password is None else passwords | {ADMIN: password},
        )
        if not answers_metadata(endpoint):
            raise Unavailable(
                "kafka_not_reachable", "the given Kafka does not let `admin` in: see address and password"
            )
        provision(endpoint, self._manifest)
        return endpoint


def _started(part: PartT | None, code: str, detail: str) -> PartT:
    if part is None:
        raise Unavailable(code, detail)
    return part


def examine_stack(site: Site) -> list[Finding]:
    """Look at both. Blocks."""
    return asked("ports", _ports, site) + asked("java", _java, site.endpoints)


def _ports(site: Site) -> Iterator[Finding]:
    """While the stack runs its ports answer; while it does not they are free, or its next start takes others."""
    running = StateDirectory(site.state).supervisor_pid() is not None
    if not running:
        yield Finding("stack", "stack_not_started", "nothing of it runs: `causeway dev up`")
    urls = {f"{name} api": url for name, url in site.endpoints.http.items()}
    urls |= {f"{name} metrics": url for name, url in site.endpoints.metrics.items()}
    for what, url in urls.items():
        host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
        if running and not accepts(host, port):
            yield Finding(what, "port_silent", f"nobody listens at port {port}: see the log of this instance")
        elif not running and not port_is_free(port):
            yield Finding(what, "port_taken", f"a process outside this stack listens at port {port}")
        elif running:  # a port that is free is well only to begin with
            yield Finding(what)


def _java(endpoints: Endpoints) -> Iterator[Finding]:
    """Needed only where the stack runs its own Kafka."""
    if "kafka" in endpoints.pids:
        find_java(DevStackSettings().java_home)
        yield Finding("java")
