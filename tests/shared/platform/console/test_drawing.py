"""Pages escape everything, a missing value is an error, and no value becomes a link."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from shared.platform.console import rendering
from shared.platform.console.rendering import defanged, due_in, environment

STATIC = Path(rendering.__file__).parent / "static"
ROOT = Path(__file__).parents[4]
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_what_is_shown_is_escaped() -> None:
    made = environment().from_string("{{ it }}").render(it="<script>alert('x')</script>")
    assert "<" not in made


def test_a_name_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing }}").render()


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://images.host.example/a", "hxxps[:]//images[.]host[.]example/a"),
        ("HTTP://host.example", "hxxp[:]//host[.]example"),
        ("user@host.example", "user@host[.]example"),
        ("magnet:?xt=urn:btih:ab", "magnet[:]?xt=urn[:]btih[:]ab"),
    ],
)
def test_a_location_is_written_so_that_nothing_opens_it(location: str, shown: str) -> None:
    assert defanged(location) == shown


@pytest.mark.parametrize(
    ("minutes", "said"), [(30, "in 30 min"), (-30, "30 min overdue"), (200, "in 3 h"), (-3000, "2 d overdue")]
)
def test_how_long_until_something_is_due(minutes: int, said: str) -> None:
    assert due_in(AT + timedelta(minutes=minutes), AT) == said


def test_what_came_from_others_is_as_it_came() -> None:
    listed = (STATIC / "vendored.sha256").read_text(encoding="utf-8").split()
    assert listed == [hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest(), "htmx.min.js"]
    assert "PERMISSION" in (STATIC / "htmx.LICENSE").read_text(encoding="utf-8").upper()


TEMPLATES = sorted(path for path in ROOT.glob("s*/**/templates/*.html") if ".venv" not in path.parts)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_holds_what_the_policy_forbids(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert list(forbidden(text)) == []


@pytest.mark.parametrize(
    "planted",
    ["<p style='x'>", "<script>x</script>", '<a onclick="x">', '<a href="https://x.example">', "{{ it | safe }}"],
)
def test_what_the_policy_forbids_is_found(planted: str) -> None:
    assert list(forbidden(planted))


def forbidden(text: str) -> list[str]:
    """Return inline scripts and styles, event handlers, external addresses, and unescaped values."""
    rules = (
        r"\sstyle\s*=",
        r"<style",
        r"<script(?![^>]*\ssrc=)",
        r"\son[a-z]+=[\"']",
        r"https?://(?!www\.w3\.org)",
        r"\|\s*safe",
    )
    return [found[0] for rule in rules for found in re.finditer(rule, text)]
