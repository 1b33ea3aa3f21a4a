"""The commands of the README, run unchanged."""

from __future__ import annotations

import re
from pathlib import Path

from tests.journeys.commands import ACTIVATES, ID, ROOT, blocks, shell
from tests.support.running import Exchange

README = ROOT / "README.md"
#: The exchange is already running, and the reader takes an id from the list.
STARTS = "causeway dev up"
LISTS = "causeway referral list"


def tour() -> list[str]:
    """Return the commands of the chapter `Use it`."""
    return next(block for block in blocks(README) if STARTS in block)


def test_the_first_lines_say_how_causeway_is_called(tmp_path: Path) -> None:
    said = next(block for block in blocks(README) if ACTIVATES in block)
    assert README.read_text(encoding="utf-8").index(ACTIVATES) < 2_500
    assert said[:2] == ["make setup", ACTIVATES]
    assert re.search(r"^setup: ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "Usage: causeway COMMAND" in shell(tmp_path, *said[2:])
    where = shell(tmp_path, "command -v causeway", "python -c 'import deploy; print(deploy.__file__)'")
    assert where.splitlines() == [str(ROOT / ".venv/bin/causeway"), str(ROOT / "deploy/__init__.py")]


async def test_the_commands_of_the_readme_do_what_they_say(exchange: Exchange, tmp_path: Path) -> None:
    commands = [line.replace(".state/dev/", f"{exchange.state}/") for line in tour()]
    assert [commands.pop(0), commands.pop(0)] == [ACTIVATES, STARTS]
    state = {"CAUSEWAY_DEV_STATE_DIR": str(exchange.state)}
    looks = next(number for number, line in enumerate(commands) if ID.search(line))
    imported = shell(tmp_path, *commands[:looks], **state)
    assert " are routed" in imported
    assert "0 are refused" in imported
    assert commands[looks - 1].startswith(LISTS)
    referral_id = imported.splitlines()[-1].split("\t")[0]
    await exchange.until_taken()
    await exchange.until_audited()

    parties = [line for line in commands[:looks] if line.startswith("eval")]
    followed = [ID.sub(referral_id, line) for line in commands[looks:]]
    shown = shell(tmp_path, *parties, *followed, **state)
    assert "state: routed" in shown
    assert "causeway.referral_decided.v1" in shown
    assert "Reconciliation" in shown
