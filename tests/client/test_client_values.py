"""Error messages for an invalid value: they name the option, the rule and the remedy, but never the value."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shared.core.codes import ERRORS
from tests.client.fake_service import FakeService
from tests.client.prompt import Run
from tests.client.test_client_tls import FILES, ID, VERBS, file

__all__ = ["file"]

CANARY = "Canary 7f3a"
PAST = ["--until", "2020-01-01"]
ASK = ["preservation", "ask", "provider-1.example", "url=https://h.example/1", "--instrument", "eu_2023_1543"]
#: A call with a bad value, the option in its error, the rule, and the permitted value.
BAD = [
    (["case", "claim", ID, "--hours", "13"], "--hours", "less_than_equal (at most 12)"),
    (["case", "claim", ID, "--hours", "0"], "--hours", "greater_than_equal (at least 1)"),
    (["case", "hand-over", ID, "--hours", "99"], "--hours", "less_than_equal (at most 12)"),
    (["case", "hand-over", ID, "--to", CANARY], "--to", "string_pattern_mismatch (32 digits 0-9 and a-f)"),
    (["case", "refer", ID, "--to", CANARY, "--reason", "suspect_elsewhere"], "--to", "string_pattern_mismatch"),
    (["referral", "transfer", ID, "--to", CANARY, "--reason", "no_mandate"], "--to", "string_pattern_mismatch"),
    ([*ASK[:-1], CANARY, *PAST], "--instrument", "enum (one of '"),
    ([*ASK[:3], "account=a b", *ASK[4:], *PAST], "LOCATIONS 1", "string_pattern_mismatch (letters, digits and @"),
    (ASK, "/", "term_or_until (Give either a term or a last day.)"),
    (["preservation", "answer", ID, "refused", *PAST], "/", "answer_needs_its_own_word (Each answer needs"),
]


@pytest.mark.parametrize(("call", "option", "rule"), BAD)
def test_a_body_that_the_options_do_not_make_is_told_by_option_rule_and_remedy(
    run: Run, service: FakeService, call: list[str], option: str, rule: str
) -> None:
    ended = run(*call)
    assert (ended.code, ended.out) == (2, "")
    first, remedy, *listed = ended.err.splitlines()
    assert first == f"error: option_invalid at {option}"
    assert remedy == f"  {ERRORS['option_invalid'].remedy}"
    assert [each.startswith(f"  {option}: {rule}") for each in listed] == [True]
    assert CANARY not in ended.err
    told = run(*call, "--json").json["error"]
    assert (told["code"], told["field"], told["errors"][0]["field"]) == ("option_invalid", option, option)
    assert service.requests == []


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_ends_in_a_traceback_or_repeats_a_word_that_is_none(run: Run, file: Path, verb: str) -> None:
    words = [str(file.with_name(FILES[word])) if word in FILES else word for word in VERBS[verb]]
    calls = [[*words[:place], CANARY, *words[place + 1 :]] for place in range(len(words))]
    for call in [
        *calls,
        ["", *words[1:]],
        [*words, CANARY],
        [*words, f"--unheard={CANARY}"],
        [*words, "--limit", CANARY],
    ]:
        ended = run(*verb.split(), *call)
        assert ended.code in (0, 1, 2)
        assert CANARY not in ended.err + ended.out


def test_a_reader_that_is_gone_before_a_short_table_ends_a_call_quietly() -> None:
    script = (
        "import os, sys; from deploy.cli import app, main; read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
    )
    script += "app.command(lambda: print('one line'), name='say'); sys.argv = ['causeway', 'say']; main()"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")
