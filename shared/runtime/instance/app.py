"""A service, assembled: what every `services/*/app.py` builds."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from shared.runtime.delivery.unit import Handler
from shared.runtime.instance.machinery import Machinery
from shared.runtime.instance.parts import Part


@dataclass(frozen=True, slots=True)
class App:
    """The parts of an instance by name; `causeway serve` runs all of them or those it is told."""

    machinery: Machinery
    http: FastAPI
    parts: dict[str, Part]
    #: What is handed an inbox's messages. None where topics are read and nothing is applied.
    handler: Handler | None = None
