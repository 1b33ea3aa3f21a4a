"""After `freeze` returns, none of the process's threads runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.frozen import freeze, stands_still, thaw

#: Two threads that are always at work.
BUSY = """
import threading
def work():
    while True: pass
threading.Thread(target=work, daemon=True).start()
print("works", flush=True)
work()
"""


@pytest.fixture
def busy() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "works\n"
        yield process.pid
        process.kill()


def test_a_frozen_process_stands_still_in_every_thread_until_it_is_let_go(busy: int) -> None:
    for _ in range(20):
        assert not stands_still(busy)
        freeze(busy)
        assert stands_still(busy)
        thaw(busy)
