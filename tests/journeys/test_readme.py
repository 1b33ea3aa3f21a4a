"""The commands that the README shows, run as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from deploy.site.settings import inherited_environment
from tests.support.running import Exchange

README = Path(__file__).parents[2] / "README.md"
#: The exchange runs already; and whoever reads on has an id before their eyes.
STARTS = "causeway dev up"
ID = re.compile(r"\bID\b")


def lines() -> list[str]:
    """The commands of the chapter, without what is said about them."""
    block = README.read_text(encoding="utf-8").partition("## Use it\n\n```\n")[2].partition("```")[0]
    return [line.split("  #")[0].rstrip() for line in block.splitlines()]


def shell(exchange: Exchange, folder: Path, *commands: str) -> str:
    """Run commands in one shell that ends with the first that fails; what they print."""
    program = f'set -eu\ncauseway() {{ {shlex.quote(sys.executable)} -m deploy.cli "$@"; }}\n' + "\n".join(commands)
    ours = {name: value for name, value in inherited_environment().items() if not name.startswith("CAUSEWAY_")}
    ran = subprocess.run(
        ["bash", "-c", program],
        cwd=folder,
        env=ours | {"CAUSEWAY_DEV_STATE_DIR": str(exchange.state), "PYTHONPATH": str(README.parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


async def test_the_commands_of_the_readme_do_what_they_say(exchange: Exchange, tmp_path: Path) -> None:
    commands = lines()
    assert commands.pop(0) == STARTS
    looks = next(number for number, line in enumerate(commands) if ID.search(line))
    imported = shell(exchange, tmp_path, *commands[:looks], "causeway referral list --state routed --limit 1")
    assert " are routed" in imported
    assert "0 are refused" in imported
    referral_id = imported.splitlines()[-1].split("\t")[0]
    await exchange.until_quiet()
    await exchange.until_audited()

    parties = [line for line in commands[:looks] if line.startswith("eval")]
    followed = [ID.sub(referral_id, line) for line in commands[looks:]]
    shown = shell(exchange, tmp_path, *parties, *followed)
    assert "state: routed" in shown
    assert "causeway.referral_decided.v1" in shown
    assert "Accounting" in shown
