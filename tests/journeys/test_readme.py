"""The commands that the README shows, run as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from deploy.site.settings import inherited_environment
from tests.support.running import Exchange

README = Path(__file__).parents[2] / "README.md"
ROOT = README.parent
#: What makes `causeway` known to a shell, said at the root of the repository.
ACTIVATES = "source .venv/bin/activate"
#: The exchange runs already; and the reader has an id before their eyes, from the list.
STARTS = "causeway dev up"
LISTS = "causeway referral list"
ID = re.compile(r"\bID\b")


def blocks() -> list[list[str]]:
    """The blocks of commands, in their order, without what is said about each command."""
    found = re.findall(r"^```\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [[line.split("  #")[0].rstrip() for line in block.splitlines()] for block in found]


def tour() -> list[str]:
    """The commands of the chapter `Use it`."""
    return next(block for block in blocks() if STARTS in block)


def shell(folder: Path, *commands: str, **variables: str) -> str:
    """Run commands in one new shell that ends with the first that fails; what they print.

    The shell knows what a newcomer's knows after `make setup`: nothing of this test's interpreter or paths.
    """
    environment = inherited_environment()
    keep = {name: environment[name] for name in ("HOME", "LANG", "JAVA_HOME", "TMPDIR") if name in environment}
    program = "\n".join([ACTIVATES, 'cd "$FOLDER"', "set -eu", *commands])
    ran = subprocess.run(
        ["bash", "-c", program],
        cwd=ROOT,
        env=keep | {"PATH": "/usr/local/bin:/usr/bin:/bin", "FOLDER": str(folder)} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_first_lines_say_how_causeway_is_called(tmp_path: Path) -> None:
    said = next(block for block in blocks() if ACTIVATES in block)
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
    await exchange.until_quiet()
    await exchange.until_audited()

    parties = [line for line in commands[:looks] if line.startswith("eval")]
    followed = [ID.sub(referral_id, line) for line in commands[looks:]]
    shown = shell(tmp_path, *parties, *followed, **state)
    assert "state: routed" in shown
    assert "causeway.referral_decided.v1" in shown
    assert "Accounting" in shown
