"""Loopback ports for servers that tests start for themselves."""

from __future__ import annotations

import random

from deploy.devstack.state import port_is_free


def free_port() -> int:
    """Return a free port below the range of outgoing connections, so that no connection takes it later."""
    return next(port for port in random.sample(range(20_000, 32_000), k=12_000) if port_is_free(port))
