"""A fixture that runs the operator's verbs in this process, as the program does."""

from __future__ import annotations

import pytest

from deploy.cli import app
from tests.client.prompt import Ended, Run


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `causeway ARGUMENTS` and returns its output and exit code."""

    def called(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return called
