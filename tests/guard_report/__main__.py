"""`python -m tests.guard_report [--json FILE] [--share S] [--lists FOLDER]`: measures the guard against its limits."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.guard_report import measures


def main(arguments: list[str] | None = None) -> int:
    """Print every figure with its limit; exit 1 if one misses its limit."""
    parser = argparse.ArgumentParser(prog="python -m tests.guard_report", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    parser.add_argument("--share", type=float, default=1.0, help="share of the attempts to make, 0 to 1 (default: all)")
    parser.add_argument("--lists", type=Path, metavar="FOLDER", help="lists of real addresses, one file or folder each")
    options = parser.parse_args(arguments)
    figures = []
    for figure in measures.sections(options.share, options.lists):
        figures.append(figure)
        bar = "" if figure.bar is None else f"{'>=' if figure.at_least else '<='} {figure.bar:g}"
        verdict = "" if figure.bar is None else ("ok" if figure.passes else "MISSED")
        print(
            f"{figure.name:<84} {figure.value:>12,.2f} {figure.unit:<6} {bar:>9} {verdict:<6} {figure.spread}".rstrip(),
            flush=True,
        )
    if options.json:
        report = [asdict(figure) | {"passes": figure.passes} for figure in figures]
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if all(figure.passes for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
