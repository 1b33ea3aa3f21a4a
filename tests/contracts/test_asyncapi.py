"""The AsyncAPI document: valid for a foreign parser, and in agreement with registry, topics and ACLs."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.artifacts import schemas
from deploy.artifacts.schemas import OF_DIRECTORY, ROUTES, message_name, pairs, readers_of, topics
from deploy.kafka.provision import manifest_of
from shared.catalog import CATALOG
from shared.core.envelope.headers import COVERED, PLACE, SALT, TRACEPARENT
from tests.architecture.source import ROOT
from tests.contracts.npm_packages import installed, node, run
from tests.contracts.published import CONTRACTS

OF_DELIVERY = ("proof_record.v1", "acknowledgement.v1", *schemas.CONTROL)
DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/api/asyncapi.json").read_text(encoding="utf-8"))


SPOILT: dict[str, Callable[[dict[str, Any]], object]] = {
    "foreign action": lambda document: next(iter(document["operations"].values())).update(action="fetch"),
    "message without definition": lambda document: document["components"]["messages"].pop("notice_issued.v1"),
    "payload without schema": lambda document: document["components"]["messages"]["notice_issued.v1"].update(
        payload={"type": "picture"}
    ),
}


def parsed(*documents: Path) -> list[dict[str, Any]]:
    """Return the parser's result for each document: `valid`, `errors`, and the names it found. It starts in seconds."""
    packages = installed("asyncapi")
    said = run([*node(), str(ROOT / "tests/contracts/asyncapi/check.cjs"), str(packages), *map(str, documents)])
    return [json.loads(line) for line in said.splitlines()]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the parser's results for the committed document, and for one with each of these errors."""
    folder = tmp_path_factory.mktemp("asyncapi")
    paths = {"committed": ROOT / "docs/api/asyncapi.json"}
    for name, spoil in SPOILT.items():
        document = copy.deepcopy(DOCUMENT)
        spoil(document)
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps(document), encoding="utf-8")
    return dict(zip(paths, parsed(*paths.values()), strict=True))


def test_the_foreign_parser_finds_it_valid_and_complete(verdicts: dict[str, Any]) -> None:
    found = verdicts["committed"]
    assert found["errors"] == []
    assert found["valid"]
    assert found["channels"] == sorted(topics())
    assert found["messages"] == sorted([*map(message_name, CATALOG.messages), *OF_DIRECTORY, *OF_DELIVERY])


@pytest.mark.parametrize("spoilt", SPOILT)
def test_the_foreign_parser_finds_a_spoilt_one_invalid(spoilt: str, verdicts: dict[str, Any]) -> None:
    assert not verdicts[spoilt]["valid"]


def test_it_names_exactly_the_headers_that_the_envelope_knows() -> None:
    assert set(DOCUMENT["components"]["schemas"]["headers"]["properties"]) == {*COVERED, SALT, PLACE, TRACEPARENT}


def test_every_message_has_a_route_and_no_other_has() -> None:
    assert set(ROUTES) == set(CATALOG.messages)


def idle(topic: str) -> list[str]:
    """Return the missing parts of a topic: a writer, a reader, or an example of a message.

    The records of delivery itself have no example.
    """
    operations = [each for each in DOCUMENT["operations"].values() if each["channel"]["$ref"] == f"#/channels/{topic}"]
    names, shown = schemas.names_on(topic), {*map(message_name, CATALOG.messages), *OF_DIRECTORY}
    examples = {name: list((CONTRACTS / "examples" / name).glob("accepted-*.json")) for name in shown & {*names}}
    return [
        *(["producer"] if all(each["action"] != "send" for each in operations) else []),
        *(["consumer"] if all(each["action"] != "receive" for each in operations) else []),
        *([] if names else ["messages"]),
        *(name for name, found in examples.items() if not found),
    ]


def test_every_topic_has_producer_consumer_and_examples() -> None:
    assert {topic: idle(topic) for topic in topics() if idle(topic)} == {}
    assert idle("causeway.inbox.nobody.hotline.v1") == ["producer", "consumer", "messages"]


def test_who_may_write_and_read_in_kafka_is_who_does_in_the_document() -> None:
    for name, allowed in manifest_of(schemas.KINDS).principals.items():
        written = {topic for topic, pair in pairs().items() if pair.sender == name}
        read = {topic for topic in topics() if name in readers_of(topic)}
        may_read = {topic for topic in topics() if topic in allowed.read or topic.startswith(allowed.read_under)}
        # It may read back its own records.
        assert (set(allowed.write), may_read) == (written, read | written), name


@pytest.mark.parametrize("service", ["hotline", "law_enforcement", "industry", "audit"])
def test_what_the_page_of_a_service_says_is_what_the_table_says(service: str) -> None:
    page = (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")
    received = {message.name for message, route in ROUTES.items() if service in route.recipients}
    sent = {message.name for message, route in ROUTES.items() if service in route.senders}
    assert named(page, "Messages in") <= received
    assert named(page, "Messages out") <= sent


def named(page: str, section: str) -> set[str]:
    """Return the messages that a section of a page names in code spans; it ends where the next one begins."""
    text = page.partition(f"**{section}**")[2].partition("**")[0]
    if text.startswith(": none"):
        return set()
    return set(re.findall(r"`([a-z_]+)`", text)) & {message.name for message in CATALOG.messages}
