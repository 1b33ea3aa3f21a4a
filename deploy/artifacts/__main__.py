"""`python -m deploy.artifacts`: write every generated file again, and say which changed."""

from __future__ import annotations

import sys

from deploy.artifacts.files import ROOT, committed, generated


def main() -> int:
    """0 always: a change is what this is for. The tests say when it was forgotten."""
    wanted, present = generated(), committed()
    for name in sorted(present.keys() - wanted.keys()):
        (ROOT / name).unlink()
        sys.stdout.write(f"removed  {name}\n")
    for name, content in sorted(wanted.items()):
        if present.get(name) != content:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_bytes(content)
            sys.stdout.write(f"written  {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
