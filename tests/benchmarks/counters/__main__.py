"""`python -m tests.benchmarks.counters [--json FILE] [--short] [--places]`: the cost of a referral, with its bounds.

Starts an exchange, submits referrals in batches, singly and for whole lives, and reads the counters of PostgreSQL and
Kafka. No figure is a time. Exit code 1 if a figure exceeds its bound.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.counters.bounds import BOUNDS, judge
from tests.benchmarks.counters.run import SHORT, WHOLE, Report, measure
from tests.benchmarks.counters.table import table
from tests.support.running import running_exchange


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table and return the exit code."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.counters", description=__doc__)
    options.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options.add_argument("--short", action="store_true", help="file fewer referrals, as the default suite does")
    options.add_argument("--places", action="store_true", help="print each count by table and topic")
    given = options.parse_args(arguments)
    report = on_new_exchange(short=given.short)
    verdicts = judge(report.figures, BOUNDS, short=given.short)
    print(table(report, verdicts, places=given.places))
    if given.json is not None:
        given.json.write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")
    return int(any(each.is_broken for each in verdicts))


def on_new_exchange(*, short: bool) -> Report:
    """Start an exchange, measure it, and stop it."""
    with tempfile.TemporaryDirectory(prefix="causeway-counters-") as folder, running_exchange(Path(folder)) as running:
        return asyncio.run(measure(running, SHORT if short else WHOLE))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
