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
