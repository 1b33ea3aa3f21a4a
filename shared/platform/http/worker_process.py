"""A worker process for heavy work, with a bounded queue in front of it.

Work that would block the event loop runs there, one question after the other. The process has no settings, no keys and
no connections. It gets its data over a pipe and ends with the pipe. If it dies or takes too long, it is replaced, and
the question fails with `Unavailable`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import BinaryIO, Final

from shared.core.errors import Defect, Unavailable
from shared.platform.admission.budgets import PlacePool, Principal, Shares

ANSWER_S_MAX: Final = 30.0
#: Waiting questions of all askers.
WAITING_MAX: Final = 64
#: One question of one party is answered at a time. A free turn goes to the party that has waited longest since its last
#: one. Beyond those that may wait, each key or session of the party may have its first question waiting.
TURNS: Final = Shares(of_holder=1, of_party=1, of_instance=1, waiting=3, wait_s=ANSWER_S_MAX, keeps_first=False)
#: With few cores, the rest of the instance has priority. Niceness has an effect only within one session.
NICENESS: Final = 10

_HEAD: Final = struct.Struct(">cI")
_LEARN, _ASK, _ANSWER, _FAILED = b"L", b"Q", b"A", b"F"
_FRAME_BYTES_MAX: Final = 1 << 26


class WorkerProcess:
    """A client of the worker process of one module, which runs `serve_questions`. The first question starts it."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._known: dict[str, str] = {}
        self._turns = PlacePool("checks", TURNS)
        #: The questions of each key or session.
        self._asking = Counter[Principal]()

    async def ask(
        self, question: bytes, *, asker: Principal, known: Mapping[str, tuple[str, Callable[[], bytes]]]
    ) -> bytes:
        """Return the answer to a question. `known` is the data that the answer needs: name → (edition, its encoding).

        Raises `BudgetExceeded` if too many questions of the asker's party wait, or one for too long. Raises
        `Unavailable`: `aside_busy` if too many of all askers wait, `aside_failed` if no answer came.
        """
        if self._turns.waiting >= WAITING_MAX:
            raise Unavailable("aside_busy")
        self._asking[asker] += 1
        try:
            async with self._turns.place(Principal(asker.party, ""), beyond=self._asking[asker] == 1):
                return await self._asked(question, known)
        finally:
            self._asking[asker] -= 1
            self._asking += Counter()  # without those that ask nothing

    async def close(self) -> None:
        """End the process, if there is one."""
        process, self._process, self._known = self._process, None, {}
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _asked(self, question: bytes, known: Mapping[str, tuple[str, Callable[[], bytes]]]) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                process = self._process or await self._start()
                for name, (which, spelt) in known.items():
                    if self._known.get(name) != which:
                        _write(process, _LEARN, name.encode() + b"\n" + spelt())
                        self._known[name] = which
                _write(process, _ASK, question)
                kind, answer = await _read(process)
        except BaseException as error:
            # Half a question may be sent. The next question would otherwise get the answer to this one.
            await self.close()
            if isinstance(error, OSError | EOFError):  # a timeout is an `OSError`
                raise Unavailable("aside_failed") from None
            raise
        if kind != _ANSWER:
            raise Defect("aside_defect", answer.decode())
        return answer

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
        )
        return self._process


def serve_questions(learn: Callable[[str, bytes], None], answer: Callable[[bytes], bytes]) -> None:
    """Answer questions from standard input until it ends. This is the main loop of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one; an interrupt does not
    os.nice(NICENESS)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while head := requests.read(_HEAD.size):
        kind, length = _HEAD.unpack(head)
        frame = requests.read(length)
        if kind == _LEARN:
            name, _, spelt = frame.partition(b"\n")
            learn(name.decode(), spelt)
            continue
        try:
            _write_frame(answers, _ANSWER, answer(frame))
        except Exception as error:  # a defect, reported by name only, because its text may quote the question
            _write_frame(answers, _FAILED, type(error).__name__.encode())


def _write_frame(stream: BinaryIO, kind: bytes, frame: bytes) -> None:
    stream.write(_HEAD.pack(kind, len(frame)) + frame)
    stream.flush()


def _write(process: asyncio.subprocess.Process, kind: bytes, frame: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(_HEAD.pack(kind, len(frame)) + frame)


async def _read(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.drain()
    kind, length = _HEAD.unpack(await process.stdout.readexactly(_HEAD.size))
    if length > _FRAME_BYTES_MAX:
        raise EOFError
    return kind, await process.stdout.readexactly(length)
