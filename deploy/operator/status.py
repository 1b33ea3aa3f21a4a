"""`causeway status`: every instance as it states it: readiness with reasons, messages that wait, exceptions, lag."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from cyclopts import App
from prometheus_client.parser import text_string_to_metric_families

from deploy.site.open import site
from deploy.site.options import OPTIONS, Listing, Options, Printed, framed

status_app = App(name="status")
ASK_S: Final = 5.0
#: Metric of an instance → what it is called here.
FIGURES: Final[Mapping[str, str]] = {
    "causeway_outbox_rows": "outbox_rows",
    "causeway_clocks_aside_rows": "clocks_aside_rows",
    "causeway_subjects_aside": "subjects_aside",
    "causeway_outbox_age_seconds": "outbox_age_s",
    "causeway_unacked_age_seconds": "unacked_age_s",
    "causeway_exception_records": "exception_records",
    "causeway_dead_letter_records": "dead_letter_records",
    "causeway_operator_lines": "operator_lines",
    "causeway_bus_lag_records": "lag_records",
}


@status_app.default
@framed
async def status(*urls: str, options: Options = OPTIONS) -> Printed:
    """Ask every instance; exit code 1 if one is not ready.

    Parameters
    ----------
    urls
        Base addresses of instances to ask instead of those of the stack; these show no figures.
    """
    endpoints = None if urls else site(options).endpoints
    asked = {url: url for url in urls} if endpoints is None else endpoints.http
    found = await ask_instances(asked, {} if endpoints is None else endpoints.metrics)
    named = list(FIGURES.values())
    rows = [
        (
            each.name,
            "yes" if each.ready else "NO",
            *(f"{each.figures[name]:g}" if name in each.figures else "" for name in named),
        )
        for each in found
    ]
    reasons = [f"{each.name}: {reason}" for each in found for reason in each.reasons()]
    document = {"instances": [each.as_json() for each in found]}
    return Printed(
        document, [Listing(("instance", "ready", *named), rows), *reasons], well=all(each.ready for each in found)
    )


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """What one instance answered. One that did not has neither checks nor figures."""

    name: str
    answers: bool
    ready: bool = False
    checks: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        stated = {"instance": self.name, "answers": self.answers, "ready": self.ready}
        return stated | {"checks": list(self.checks)} | dict(self.figures)

    def reasons(self) -> list[str]:
        """Each check that has something to say, as `check reason`."""
        if not self.answers:
            return ["does not answer"]
        return [f"{check['name']} {check['reason']}" for check in self.checks if check["reason"]]


async def ask_instances(urls: Mapping[str, str], metrics: Mapping[str, str]) -> list[InstanceStatus]:
    """Ask all at once, by name → base URL, and those of `metrics` for their figures too.

    Never raises for an instance that does not answer.
    """
    async with httpx.AsyncClient(timeout=ASK_S, trust_env=False) as client:
        return list(
            await asyncio.gather(*(_ask(client, name, url, metrics=metrics.get(name)) for name, url in urls.items()))
        )


async def _ask(client: httpx.AsyncClient, name: str, url: str, *, metrics: str | None) -> InstanceStatus:
    try:
        said = (await client.get(f"{url.rstrip('/')}/readyz")).json()
        ready, checks = bool(said["ready"]), list(said["checks"])
        shown = "" if metrics is None else (await client.get(f"{metrics.rstrip('/')}/metrics")).text
        figures = _figures(shown)
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return InstanceStatus(name, answers=False)  # nobody there, or somebody else
    return InstanceStatus(name, True, ready, checks, figures)


def _figures(text: str) -> dict[str, float]:
    return {
        FIGURES[sample.name]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in FIGURES
    }
