"""The accounts of a state directory, read by release N, which knows what N−1 knows: one difference a line.

python -m tests.skew.accounts STATE
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.skew.releases import Release, become


def main() -> int:
    become(Release.AFTER)
    from deploy.accounting.run import reconciled
    from deploy.site.endpoints import load

    for difference in asyncio.run(reconciled(load(Path(sys.argv[1])))).differences:
        print(difference)
    return 0


if __name__ == "__main__":
    sys.exit(main())
