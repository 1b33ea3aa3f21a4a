"""The doctor on a stack that does not run reports a fault, although the port is free."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.devstack.stack import examine_stack
from deploy.devstack.state import StateDirectory
from deploy.site.endpoints import Endpoints
from deploy.site.open import Site


def stopped(state: Path) -> Site:
    endpoints = Endpoints.model_validate(
        {
            "kafka": {"bootstrap_servers": "127.0.0.1:9", "security_protocol": "PLAINTEXT"},
            "databases": {},
            "http": {"hotline": "http://127.0.0.1:9"},
            "pids": {"supervisor": os.getpid()},
        }
    )
    return Site(state / "endpoints.json", state, endpoints)


def test_a_stopped_stack_is_said_so_and_nothing_of_it_is_well(tmp_path: Path) -> None:
    found = {each.what: each.code for each in examine_stack(stopped(tmp_path))}
    assert found == {"stack": "stack_not_started"}


def test_a_running_stack_is_asked_at_its_ports(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.acquire()
    try:
        found = {each.what: each.code for each in examine_stack(stopped(tmp_path))}
    finally:
        state.release()
    assert found == {"hotline api": "port_silent"}
