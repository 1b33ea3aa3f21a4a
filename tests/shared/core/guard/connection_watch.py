"""A program that guards legitimate and hostile records while every attempt to reach a host is recorded.

It prints the recorded events as JSON. With `--connect` it opens one reported address on purpose, as a control.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import sys

from tests.guard_report.attempts import as_bytes, refusal
from tests.guard_report.encodings import ENCODINGS
from tests.guard_report.legitimate import submissions
from tests.guard_report.payloads import payloads
from tests.guard_report.positions import POSITIONS

_WATCHED = ("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "subprocess.", "os.system", "webbrowser.")


def main() -> None:
    """Guard a few hundred records under the audit hook (PEP 578), then print the recorded events."""
    events: list[str] = []
    watching = True
    sys.addaudithook(lambda event, _: events.append(event) if watching and event.startswith(_WATCHED) else None)
    for body in submissions(150, seed=21):
        refusal(as_bytes(body))
    for encode, position in itertools.product(list(ENCODINGS.values())[:8], POSITIONS.values()):
        refusal(as_bytes(position(encode(payloads()["gif_pixel"])).body))
    if "--connect" in sys.argv:
        with contextlib.suppress(OSError):
            socket.create_connection(("192.0.2.7", 80), timeout=0.2)
    watching = False
    print(json.dumps(events))


if __name__ == "__main__":
    main()
