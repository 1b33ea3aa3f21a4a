"""The program as a whole: its version, and wrong calls."""

from __future__ import annotations

import pytest

import deploy
from tests.deploy.operator.conftest import Run


def test_the_version_is_the_projects(run: Run) -> None:
    assert run("--version").out == f"{deploy.__version__}\n"
    assert deploy.__version__ != "0.0.0"


@pytest.mark.parametrize("share", ["abc", "101%", "-1%", "nan", ""])
def test_a_share_of_dirty_referrals_that_is_none_is_a_wrong_call(run: Run, share: str) -> None:
    ended = run("sample", "--count", "1", f"--dirty={share}")
    assert (ended.code, ended.out, ended.err.startswith("error: share_malformed")) == (2, "", True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--count=-1",), "count_malformed at --count"),
        (("--from=2026-04-20", "--to=2026-03-01"), "days_reversed at --to"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_a_wrong_call(run: Run, words: tuple[str, ...], code: str) -> None:
    ended = run("sample", *words)
    assert (ended.code, ended.out, ended.err.startswith(f"error: {code}: ")) == (2, "", True)


def test_an_instance_without_its_environment_says_which_settings_it_misses(run: Run) -> None:
    ended = run("serve", "industry", "--instance", "industry_nine")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: settings_invalid at CAUSEWAY_INDUSTRY_NINE_DATABASE_URL: missing; ")


def test_the_settings_of_an_instance_are_named_in_full(run: Run) -> None:
    assert "CAUSEWAY_INSTANCE_" in run("serve", "--help").out
