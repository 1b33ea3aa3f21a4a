"""The prompt that the tests of the verbs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.fake_service import KEY, FakeService
from tests.client.prompt import Ended, Run, program, serving


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[FakeService, str]]:
    service = FakeService()
    with serving(service) as port:
        yield service, f"http://127.0.0.1:{port}"


@pytest.fixture
def service(served: tuple[FakeService, str]) -> FakeService:
    served[0].__init__()  # type: ignore[misc]
    return served[0]


@pytest.fixture
def run(
    served: tuple[FakeService, str], service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> Run:
    """Return a function that runs `causeway ARGUMENTS` in this process, with address and key in the environment."""
    monkeypatch.setenv("CAUSEWAY_URL", served[1])
    monkeypatch.setenv("CAUSEWAY_API_KEY", KEY)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CAUSEWAY_CA_FILE", raising=False)
    causeway = program()

    def called(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            causeway([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return called
