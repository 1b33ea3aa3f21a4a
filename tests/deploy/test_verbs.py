"""Every verb of the program, a party's and the operator's: its help fits 80 columns, and it prints JSON if asked."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest
from rich.console import Console

from deploy.cli import app
from deploy.demo.run import text_of
from tests.architecture.source import ROOT
from tests.client.test_client_tls import verbs

#: They print only lines of JSON, run until they are stopped, or write JSON to a given file.
WITHOUT_JSON = {"sample", "serve", "demo", "dev up", "dev logs"}


def helped(verb: str) -> str:
    shown = io.StringIO()
    app.help_print(verb.split(), console=Console(file=shown, width=80, force_terminal=False))
    return shown.getvalue()


@pytest.mark.parametrize("verb", sorted(verbs(app)))
def test_the_help_of_a_verb_fits_eighty_columns_and_offers_json(verb: str) -> None:
    lines = helped(verb).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.strip() and not line.startswith("Usage") for line in lines[:4])
    assert ("--json" in "".join(lines)) is (verb not in WITHOUT_JSON or verb == "demo")


@pytest.mark.parametrize("shell", ["bash"])
def test_a_shell_completes_the_verbs(shell: str) -> None:
    script = app.generate_completion(shell=shell)  # type: ignore[arg-type]
    assert "referral" in script
    assert "doctor" in script


#: Each of these takes longer to load than all of a party's verb.
SERVERS_USE = {"alembic", "sqlalchemy", "fastapi", "faststream", "aiokafka", "asyncpg"}


def loaded(*words: str) -> set[str]:
    """Return the modules that a call of the program has loaded when it ends."""
    script = "import sys; from deploy.cli import main; sys.argv = ['causeway', *sys.argv[1:]]\n"
    script += "try: main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    return set(ran.stderr.split())


def test_a_call_loads_what_its_verb_needs_and_no_other() -> None:
    by_hand = {"client.cli.event_feed", "client.cli.login"}
    timeline = loaded("timeline", "--help")
    assert timeline & by_hand == {"client.cli.event_feed"}
    assert not timeline & SERVERS_USE
    assert not loaded("--help") & (by_hand | SERVERS_USE), "help about verbs comes from the table"


def test_pages_name_verbs_of_the_program() -> None:
    text = "".join(page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
    named = set(re.findall(r"`causeway ([a-z-]+ [a-z][a-z-]*)", text))
    groups = {verb.partition(" ")[0] for verb in verbs(app) if " " in verb}
    assert {each for each in named if each.split()[0] in groups} - {*verbs(app)} == set()


# -- The demo's output about a flow: every name in full, even on a narrow terminal.


def test_a_flow_is_told_with_whole_names_at_a_hundred_columns() -> None:
    message = {
        "position": 1,
        "at": "2026-03-15T12:00:00Z",
        "type": "causeway.referral_offered.v1",
        "sender": "hotline-nl.example",
        "recipient": "police-nl.example",
        "rules": ["nl-law-enforcement", "europol-victim"],
        "topic": "causeway.inbox.law_enforcement.hotline.v1",
        "partition": 11,
        "offset": 17,
        "outcome": "applied",
    }
    shown = text_of("flow", {"flow": {"referral_id": "r", "messages": [message]}})
    assert shown.splitlines()[1:] == [
        "1  12:00:00Z  referral_offered.v1  applied",
        "  hotline-nl.example → police-nl.example  nl-law-enforcement, europol-victim",
        "  inbox.law_enforcement.hotline.v1/11/17",
    ]
