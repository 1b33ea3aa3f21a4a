"""The effects of `causeway serve` on its process before it begins."""

from __future__ import annotations

import gc

import pytest

from deploy.cli import app
from deploy.serve import COLLECTED_EVERY, settle_collector


def test_what_is_loaded_is_left_alone_and_garbage_is_looked_for_rarely() -> None:
    before = gc.get_threshold()
    try:
        settle_collector()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == COLLECTED_EVERY
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_missing_settings_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them at once, by their names in the environment, and no traceback."""
    monkeypatch.setenv("CAUSEWAY_HOTLINE_NORTH_HTTP_PORT", "8101")
    with pytest.raises(SystemExit) as ended:
        app(["serve", "hotline", "--instance", "hotline_north"])
    said = capsys.readouterr().err
    missing = {
        f"CAUSEWAY_HOTLINE_NORTH_{name}" for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "APPROVER_KEYS_FILE")
    }
    assert ended.value.code == 2
    assert {name for name in missing if name in said} == missing
    assert "HTTP_PORT" not in said
    assert "Traceback" not in said
