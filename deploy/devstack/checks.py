"""What the doctor looks at on a development stack besides its site: its ports, and the Java of its Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from deploy.devstack.java import find_java
from deploy.devstack.settings import DevStackSettings
from deploy.devstack.state import StateDirectory, port_is_free
from deploy.site.access import accepts
from deploy.site.endpoints import Endpoints
from deploy.site.findings import Finding, asked
from deploy.site.open import Site


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
