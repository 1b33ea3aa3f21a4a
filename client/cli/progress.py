"""How far a file is done, on standard error: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from client.cli.import_file import OnProgress

_LINES_MAX = 20


@contextmanager
def progress(verb: str, lines_total: int) -> Iterator[OnProgress]:
    """Yields what is to be told after each batch. At most about 20 plain lines, however long the file."""
    if not sys.stderr.isatty():
        yield _plain(verb, lines_total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(verb, total=lines_total)

        def told(lines_done: int, refused: int) -> None:
            bar.update(task, completed=lines_done, description=f"{verb}, {refused} refused")

        yield told


def _plain(verb: str, lines_total: int) -> OnProgress:
    said = 0

    def told(lines_done: int, refused: int) -> None:
        nonlocal said
        step = lines_done * _LINES_MAX // max(lines_total, 1)
        if step > said:
            said = step
            print(f"{verb}: line {lines_done} of {lines_total}, {refused} refused", file=sys.stderr, flush=True)

    return told
