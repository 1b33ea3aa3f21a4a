"""The next release, as a stub: of some messages it knows one version more, and writes that one where it may.

    python -m tests.support.later_release KIND --instance NAME [--only PART] …

Its registry grows before anything else of the exchange is imported. All else is as in `altered_instance`.
"""

from __future__ import annotations

import runpy
from dataclasses import replace
from typing import Any, Final

from pydantic import create_model

from shared.core.contracts import registry

LATER: Final = ("-m", "tests.support.later_release")
#: Two messages that carry edges, and an answer. They may say a member more.
GROWN: Final = ("REFERRAL_OFFERED", "NOTICE_ISSUED", "CASE_ACCEPTED")


def grow() -> None:
    for name in GROWN:
        message: registry.MessageType = getattr(registry, name)
        remark: Any = {"remark": (int | None, None)}
        clear = create_model(message.clear.__name__, __base__=message.clear, **remark)
        later = replace(message, version=message.version + 1, clear=clear, earlier=message)
        setattr(registry, name, later)
        setattr(registry, "ALL", (*registry.ALL, later))  # noqa: B010 - a release's list is final


if __name__ == "__main__":
    grow()
    runpy.run_module("tests.support.altered_instance", run_name="__main__")
