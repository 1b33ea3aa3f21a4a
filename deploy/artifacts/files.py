"""All generated files: where each lies and its exact bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.artifacts.asyncapi import asyncapi
from deploy.artifacts.errors_page import errors_page
from deploy.artifacts.examples import examples
from deploy.artifacts.law_page import law_page
from deploy.artifacts.messages_page import messages_page
from deploy.artifacts.openapi import ASSEMBLE, openapi
from deploy.artifacts.schemas import models, schema_of
from deploy.artifacts.states_page import SHOWN_BY, states_page, with_states
from deploy.observability.pages import prometheus_rules, runbook

ROOT = Path(__file__).parents[2]
SCHEMAS = "shared/contracts/schemas"
EXAMPLES = "shared/contracts/examples"
API = "docs/api"
MESSAGES = "docs/messages.md"
STATES = "docs/states.md"
LAW = "docs/law.md"
ERRORS = "docs/errors.md"
ALERTS = "docs/operations/alerts.md"
RULES = "deploy/observability/alerts.yaml"
WRITTEN = (MESSAGES, STATES, LAW, ERRORS, ALERTS, RULES)
#: Pages of which a part is written.
PAGES = {service: f"services/{service}/README.md" for service in SHOWN_BY}


def generated() -> Mapping[str, bytes]:
    """Every generated file by its path from the root of the repository."""
    files = {f"{SCHEMAS}/{name}.json": readable(schema_of(name)) for name in models()}
    files |= {f"{EXAMPLES}/{each.schema}/{each.file}": readable(each.content) for each in examples()}
    files |= {f"{API}/openapi-{instance}.json": readable(openapi(instance)) for instance in ASSEMBLE}
    files |= {MESSAGES: messages_page().encode(), STATES: states_page().encode(), LAW: law_page().encode()}
    files |= {ERRORS: errors_page().encode(), ALERTS: runbook().encode(), RULES: prometheus_rules().encode()}
    for service, page in PAGES.items():
        files[page] = with_states((ROOT / page).read_text(encoding="utf-8"), service).encode()
    return files | {f"{API}/asyncapi.json": readable(asyncapi())}


def committed(root: Path = ROOT) -> Mapping[str, bytes]:
    """What lies at those places now, also files that nothing generates any more."""
    folders = (root / SCHEMAS, root / EXAMPLES, root / API)
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    paths += [path for path in map(root.joinpath, (*WRITTEN, *PAGES.values())) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(paths)}


def readable(value: Any) -> bytes:
    """One JSON text for one value, for people to read and compare: names sorted, two spaces, ASCII."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
