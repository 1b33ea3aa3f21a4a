"""Work beside the event loop: a process of our own does it, with a bounded queue before it.

What would hold everybody up is done there, one question after the other. The process has no settings, no keys and no
connections: it knows what it is told, and ends when the pipe to it does. Where it dies, or takes too long, it is
replaced, and the question is answered by `Unavailable`.
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

from shared.kernel.errors import Defect, Unavailable

#: Questions that may wait, of all who ask and of one of them.
WAITING_MAX: Final = 64
WAITING_MAX_OF_ONE: Final = 4
ANSWER_S_MAX: Final = 30.0
#: The rest of the instance comes first where cores are few. That counts within a session alone.
NICENESS: Final = 10

_HEAD: Final = struct.Struct(">cI")
_LEARN, _ASK, _ANSWER, _FAILED = b"L", b"Q", b"A", b"F"
_FRAME_BYTES_MAX: Final = 1 << 26


class Aside:
    """Asks the process of one module, which runs `serve_questions`; it is started with the first question."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._known: dict[str, str] = {}
        self._turn = asyncio.Lock()
        self._waiting: Counter[str] = Counter()

    async def ask(self, question: bytes, *, asker: str, known: Mapping[str, tuple[str, Callable[[], bytes]]]) -> bytes:
        """The answer. `known` is what it must know for it: by name, which edition, and how it is spelt.

        Raises `Unavailable`: `aside_busy` where too many wait, `aside_failed` where no answer came.
        """
        if self._waiting.total() >= WAITING_MAX or self._waiting[asker] >= WAITING_MAX_OF_ONE:
            raise Unavailable("aside_busy")
        self._waiting[asker] += 1
        try:
            async with self._turn:
                return await self._asked(question, known)
        finally:
            self._waiting[asker] -= 1
            if not self._waiting[asker]:
                del self._waiting[asker]

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
            # Half a question was asked: whoever asks next would get the answer to this one.
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
    """Answer what comes in at standard input until it ends. For the process that `Aside` starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks ends us, not whoever interrupts it
    os.nice(NICENESS)
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    while head := asked.read(_HEAD.size):
        kind, length = _HEAD.unpack(head)
        frame = asked.read(length)
        if kind == _LEARN:
            name, _, spelt = frame.partition(b"\n")
            learn(name.decode(), spelt)
            continue
        try:
            _tell(told, _ANSWER, answer(frame))
        except Exception as error:  # a fault of ours, told by its name: its text may quote what was asked
            _tell(told, _FAILED, type(error).__name__.encode())


def _tell(told: BinaryIO, kind: bytes, frame: bytes) -> None:
    told.write(_HEAD.pack(kind, len(frame)) + frame)
    told.flush()


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
