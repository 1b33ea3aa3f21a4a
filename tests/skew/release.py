"""`causeway serve` as one of the two releases.

python -m tests.skew.release {before|after} [--without CONTROL] KIND --instance NAME [--only PART] …
"""

from __future__ import annotations

import argparse
import sys

from tests.skew.releases import CONTROLS, Release, become


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("release", type=Release, choices=list(Release))
    arguments.add_argument("--without", action="append", choices=sorted(CONTROLS), default=[])
    arguments.add_argument("kind")
    arguments.add_argument("--instance", required=True)
    arguments.add_argument("--only", action="append", default=[])
    given = arguments.parse_args()
    become(given.release)
    for control in given.without:
        CONTROLS[control]()
    from deploy.serve import serve

    return serve(given.kind, given.instance, given.only)


if __name__ == "__main__":
    sys.exit(main())
