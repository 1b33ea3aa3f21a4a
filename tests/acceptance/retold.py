"""The demo's timelines and lists, compared with its databases and audit by independent programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.devstack.stack import DevStack
from deploy.site.settings import AUDIT
from tests.acceptance.programs import foreign


def timelines_differ(stack: DevStack, stories: Sequence[dict[str, Any]]) -> list[str]:
    """Return the differences between a story's timelines and the databases and audit, as sentences."""
    timelines = [each for story in stories for each in story["timelines"]]
    groups = [each for story in stories for each in story["groups"]]
    return _ran("foreign_timelines.py", _books(stack) | {"timelines": timelines, "groups": groups})


def lists_recounted(stack: DevStack, report: dict[str, Any]) -> dict[str, Any]:
    """Return the items that must be on the demo's lists, and those that are missing, by `foreign_lists.py`."""
    sample = Path(report["input"]["sample"]).read_text("utf-8")
    timelines = [each for story in report["stories"] for each in story["timelines"]]
    asked = {"sample": sample, "lists": report["lists"], "feedback": report["feedback"], "timelines": timelines}
    return _ran("foreign_lists.py", _books(stack) | asked)


def edited(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report with an act and a list row removed, and one list row added: the control."""
    changed: dict[str, Any] = json.loads(json.dumps(report))
    del changed["stories"][0]["timelines"][0]["entries"][-1]
    party, lists = next((name, each) for name, each in sorted(changed["lists"].items()) if len(each["attention"]) > 1)
    taken = lists["attention"].pop()
    other = next(each for name, each in sorted(changed["lists"].items()) if name != party)
    other["attention"].append(taken)
    return changed


def _books(stack: DevStack) -> dict[str, Any]:
    """Return the databases as the owner of the server sees them."""
    server = stack.postgres.admin_url.rpartition("/")[0]
    urls = {name: f"{server}/causeway_{name}" for name in stack.endpoints.instances}
    kinds = {name: stack.endpoints.kind(name) for name in urls}
    audit = next(urls[name] for name, kind in kinds.items() if kind == AUDIT)
    parties = {name: url for name, url in urls.items() if kinds[name] != AUDIT}
    return {"databases": parties, "kinds": kinds, "audit": audit}


def _ran(script: str, asked: dict[str, Any]) -> Any:
    ran = foreign(script, asked)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
