"""Preservations in the format of ETSI TS 103 120. ETSI's own schemas, from the package `ts103120`, are the oracle."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from lxml import etree

from shared.formats.ts103120 import ActionFlow, ActionStep, Hi1Endpoint, written

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
IMPORTS = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:import namespace="http://uri.etsi.org/03280/common/2017/07" schemaLocation="TS_103_280.xsd"/>
<xs:import namespace="http://www.w3.org/2000/09/xmldsig#" schemaLocation="xmldsig-core-schema.xsd"/>
<xs:import namespace="http://uri.etsi.org/03120/common/2016/02/Common" schemaLocation="ts_103120_Common.xsd"/>
<xs:import namespace="http://uri.etsi.org/03120/common/2019/10/Core" schemaLocation="ts_103120_Core.xsd"/>
<xs:import namespace="http://uri.etsi.org/03120/common/2020/09/Task" schemaLocation="ts_103120_Task.xsd"/>
</xs:schema>"""
ASKED = ActionStep("police-nl.example", "requested", {}, AT)
ANSWERS: dict[str, dict[str, object]] = {
    "preserved": {"answer": "preserved", "until": "2026-07-03"},
    "refused": {"answer": "refused", "reason": "manifest_error"},
    "not_possible": {"answer": "not_possible", "impossible": "never_stored"},
    "too_late": {"answer": "too_late", "removed_at": "2026-05-04T11:30:00.000Z"},
}
KEPT = ActionStep("provider-012.example", "preserved", ANSWERS["preserved"], AT)
EXTENSION = ActionStep("police-nl.example", "extension_requested", {"until": "2026-08-02"}, AT)
FLOWS: dict[str, tuple[ActionStep, ...]] = {
    "asked": (ASKED,),
    **{name: (ASKED, ActionStep("provider-012.example", name, said, AT)) for name, said in ANSWERS.items()},
    "corrected": (ASKED, KEPT, ActionStep("provider-012.example", "not_possible", ANSWERS["not_possible"], AT)),
    "extended": (ASKED, KEPT, EXTENSION, ActionStep("provider-012.example", "extended", {"answer": "extended"}, AT)),
    "not extended": (
        ASKED,
        KEPT,
        EXTENSION,
        ActionStep(
            "provider-012.example",
            "extension_refused",
            {"answer": "extension_refused", "reason": "conflicting_law"},
            AT,
        ),
    ),
    "ended": (ASKED, KEPT, ActionStep("provider-012.example", "ended", {"reason": "term_over"}, AT)),
    "withdrawn": (
        ASKED,
        KEPT,
        ActionStep("police-nl.example", "withdrawn", {"reason": "no_longer_necessary"}, AT),
        ActionStep("provider-012.example", "withdrawal_acknowledged", {}, AT),
    ),
}


@cache
def schema() -> etree.XMLSchema:
    package = find_spec("ts103120")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "data/1.15.1/xsd"
    return etree.XMLSchema(etree.fromstring(IMPORTS, base_url=f"{folder.as_uri()}/all.xsd"))


def flow(steps: tuple[ActionStep, ...], *, preserves: bool = True, until: date | None = None) -> ActionFlow:
    return ActionFlow(
        UUID("019b2d3c-4400-7000-8000-000000000501"),
        preserves,
        "eu_2023_1543",
        "eu_60d" if until is None else None,
        until,
        "PL-2026/00317",
        [("url", "https://images.example/a?b=1&c=<2>"), ("account", "user@provider.example")],
        Hi1Endpoint("police-nl.example", "NL"),
        Hi1Endpoint("provider-012.example", "IE"),
        steps,
    )


@pytest.mark.parametrize("until", [None, date(2026, 8, 2)])
@pytest.mark.parametrize("preserves", [True, False])
@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_is_what_the_schemas_of_etsi_describe(name: str, preserves: bool, until: date | None) -> None:
    found = written(flow(FLOWS[name], preserves=preserves, until=until))
    schema().assertValid(etree.fromstring(found))
    assert found == written(flow(FLOWS[name], preserves=preserves, until=until))


def test_what_was_asked_and_said_can_be_read_back() -> None:
    tree = etree.fromstring(written(flow(FLOWS["extended"])))
    texts = [element.text for element in tree.iter()]
    assert "https://images.example/a?b=1&c=<2>" in texts
    assert texts.count("2026-08-02T23:59:59Z") == 1
    assert texts.count("2026-07-03T23:59:59Z") == 1
    statuses = [each[2].text for each in tree.iter("{*}Status")]
    assert statuses == ["requested", "preserved", "extension_requested", "extended"]


# -- mutations -------------------------------------------------------------------------------------------------------


#: Optional elements and elements with free text. No schema can detect an error in them.
FREE = {
    "Owner", "Name", "Value", "NationalProfileOwner", "NationalProfileVersion", "UniqueIdentifier", "OwnerIdentifier",
    "ExternalIdentifier", "ErrorDescription", "FormatOwner", "FormatName",
}  # fmt: skip
Mutation = Callable[[Random, etree._Element], None]


def _unknown_child(random: Random, tree: etree._Element) -> None:
    above = random.choice([each for each in tree.iter() if len(each)])
    above.insert(
        random.randrange(len(above) + 1),
        etree.Element(f"{{http://uri.etsi.org/03120/common/2019/10/Core}}Unlisted{random.randrange(10**6)}"),
    )


def _renamed(random: Random, tree: etree._Element) -> None:
    one = random.choice(list(tree.iter()))
    one.tag = f"{one.tag}{random.choice('XYZ')}"


def _another_namespace(random: Random, tree: etree._Element) -> None:
    one = random.choice(list(tree.iter()))
    one.tag = f"{{http://elsewhere.example/{random.randrange(10**6)}}}{etree.QName(one).localname}"


def _twice(random: Random, tree: etree._Element) -> None:
    repeatable = {"ActionRequest", "RequestValue", "RequestSubtype"}
    named = [e for e in tree.iter() if e.getparent() is not None and etree.QName(e).localname not in repeatable]
    one = random.choice(named)
    one.addnext(etree.fromstring(etree.tostring(one)))


def _out_of_order(random: Random, tree: etree._Element) -> None:
    above = random.choice([each for each in tree.iter() if len({child.tag for child in each}) > 1])
    above.append(above[0])


def _text_out_of_form(random: Random, tree: etree._Element) -> None:
    bound = [e for e in tree.iter() if not len(e) and etree.QName(e).localname not in FREE]
    random.choice(bound).text = f"no {random.randrange(10**6)}"


def _attribute(random: Random, tree: etree._Element) -> None:
    random.choice(list(tree.iter())).set(f"unlisted{random.randrange(10**6)}", "x")


def _words_between(random: Random, tree: etree._Element) -> None:
    random.choice([each for each in tree.iter() if len(each)]).text = "words"


MUTATIONS: tuple[Mutation, ...] = (
    _unknown_child,
    _renamed,
    _another_namespace,
    _twice,
    _out_of_order,
    _text_out_of_form,
    _attribute,
    _words_between,
)


def test_a_thousand_flows_with_one_thing_wrong_are_refused_by_the_schemas() -> None:
    random = Random(51)
    names, accepted = sorted(FLOWS), []
    for number in range(1000):
        found = written(flow(FLOWS[random.choice(names)], preserves=random.random() < 0.8))
        tree, mutation = etree.fromstring(found), MUTATIONS[number % len(MUTATIONS)]
        schema().assertValid(tree)
        mutation(random, tree)
        if schema().validate(tree):
            accepted.append((number, mutation.__name__))
    assert accepted == []
