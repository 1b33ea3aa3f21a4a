"""`python -m tests.contracts.fuzzed`: run schemathesis on services to find behaviour outside their documents.

Requests are generated from a service's OpenAPI document, both allowed and forbidden ones. If a path names a subject,
every other request is about an existing one. Requests follow from the seed and the existing subjects. No generated
request registers a webhook, so no service learns of a place outside this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.artifacts.__main__ import openapi
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, referral, running_exchange, until

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
METHODS: Final = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "trace"})
#: Each service, and the party that sends the requests.
ASKED: Final = {"hotline": HOTLINE, "law_enforcement": AGENCY, "industry": PROVIDER, "audit": "auditor.example"}
_NAMES_PLACES: Final = "POST /v1/webhooks"
_PARAMETER: Final = re.compile(r"\{[a-z_]+\}")
_TIMEOUT_S: Final = 30

Known = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Fuzzing:
    """A service under test: its document, its address, and the key; `known` are ids by the name of their parameter."""

    document: Mapping[str, Any]
    url: str
    key: str
    known: Known = field(default_factory=dict)
    #: Errors by operation, status and kind.
    wrong: dict[str, str] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)

    def session(self) -> requests.Session:
        made = requests.Session()
        made.trust_env = False
        made.headers.update({"Authorization": f"Bearer {self.key}"})
        return made

    def ask(self, examples: int, start: int, *, passing: Collection[str] = ()) -> None:
        """Send each operation `examples` requests that its document allows, and as many that it forbids.

        Operations with a path in `passing` are skipped.
        """
        schema = schemathesis.openapi.from_dict(json.loads(json.dumps(self.document)))
        with self.session() as session:
            for found in schema.get_all_operations():
                operation = found.ok()
                passed = operation.label == _NAMES_PLACES or operation.path in passing
                for mode in () if passed else GenerationMode:
                    self._ask(operation, mode, session, examples=examples, start=start)

    def _ask(
        self, operation: Any, mode: GenerationMode, session: requests.Session, *, examples: int, start: int
    ) -> None:
        @seed(start)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), about=st.randoms(use_true_random=False))
        def ask(case: Any, about: Random) -> None:
            for name in case.path_parameters or {}:
                if self.known.get(name) and about.random() < 0.5:
                    case.path_parameters[name] = about.choice(self.known[name])
            answer = case.call(base_url=self.url, session=session, timeout=_TIMEOUT_S)
            self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
            try:
                case.validate_response(answer, checks=CHECKS)
            except FailureGroup as failures:
                for each in failures.exceptions:
                    self._note(operation, answer.status_code, each)
            except Failure as failure:
                self._note(operation, answer.status_code, failure)

        ask()

    def _note(self, operation: Any, status: int, failure: BaseException) -> None:
        self.wrong.setdefault(f"{operation.label} {status} {type(failure).__name__}", str(failure)[:1500])

    def undeclared(self) -> list[str]:
        """Return each path with a method that its document does not have, and that is not refused as such."""
        wrong = []
        with self.session() as session:
            for path, declared in self.document["paths"].items():
                there = f"{self.url}{_PARAMETER.sub(str(UUID(int=1)), path)}"
                for method in sorted(METHODS - declared.keys()):
                    answer = session.request(method, there, timeout=_TIMEOUT_S)
                    if answer.status_code != 405 or "allow" not in answer.headers:
                        wrong.append(f"{method} {path}: {answer.status_code}")
        return wrong


async def subjects(exchange: Exchange) -> Known:
    """Return ids of a referral that was submitted for this and has reached all recipients."""
    async with exchange.client(HOTLINE) as hotline, exchange.client(AGENCY) as agency:
        filed = await hotline.submit(referral())

        async def came() -> bool:
            found = [each async for page in agency.inbox(reference=str(filed.referral_id)) for each in page.items]
            shown = await hotline.show(filed.referral_id)
            return bool(found) and all(each.delivery == "applied" for each in shown.edges if each.notice_id)

        await until(came)
        shown = await hotline.show(filed.referral_id)
    notices = [str(each.notice_id) for each in shown.edges if each.notice_id is not None]
    return {"referral_id": [str(filed.referral_id)], "notice_id": notices}


def fuzzing(exchange: Exchange, service: str, known: Known) -> Fuzzing:
    """Return the test of one service of an exchange."""
    key = exchange.parties[ASKED[service]]
    return Fuzzing(openapi(service), key.url, key.key, known)


def main(arguments: Sequence[str]) -> int:
    """Return exit code 0 if there are no errors, else 1. Prints one line per service."""
    options = argparse.ArgumentParser(prog="python -m tests.contracts.fuzzed", description=__doc__)
    options.add_argument("--examples", type=int, default=25)
    options.add_argument("--seed", type=int, default=7)
    given = options.parse_args(arguments)
    broken = 0
    with tempfile.TemporaryDirectory(prefix="causeway-fuzzed-") as folder, running_exchange(Path(folder)) as exchange:
        known = asyncio.run(subjects(exchange))
        for service in ASKED:
            asked = fuzzing(exchange, service, known)
            asked.ask(given.examples, given.seed)
            methods = asked.undeclared()
            for name, what in asked.wrong.items():
                print(f"wrong: {name}\n{what}")
            print(*(f"undeclared: {each}" for each in methods), sep="\n", end="\n" if methods else "")
            errors = sum(count for status, count in asked.statuses.items() if status >= 500)
            print(
                f"{service}: {sum(asked.statuses.values())} requests of {len(asked.document['paths'])} paths,"
                f" {errors} server errors, {len(methods)} undeclared methods, {len(asked.wrong)} schema violations",
                flush=True,
            )
            broken += len(methods) + len(asked.wrong) + errors
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
