"""Promises about the consoles: pages that people see, and data that stays hidden."""

from __future__ import annotations

from tests.acceptance.line import line

_PAGES = "tests/console/test_every_page.py"

#: One promise per line.
CONSOLE = (
    line(
        "Every interaction in the consoles' table works in a real browser, with and without scripts",
        "tests/console/test_interactions.py",
    ),
    line(
        "axe finds no accessibility error on any page, in light and dark mode. No page is wider than 320 px or heavier "
        "than 100 KB, or contacts another server",
        _PAGES,
    ),
    line(
        "Absent, foreign and forbidden pages give the same bytes, for every page and party",
        "tests/console/test_apart.py",
    ),
    line(
        "A sign-in link works once, and a session ends. A cookie opens only pages and a key only the API, and no form "
        "from another site counts",
        "tests/console/test_sessions.py",
    ),
    line(
        "A newcomer's first ten minutes are one browser journey: submit, hold, release, preserve and remove. Audit "
        "sees it, it is proven offline, and webhooks report it",
        "tests/console/test_ten_minutes.py",
    ),
    line(
        "A table is imported in parts: an import resumes where it stopped, and a repeated part is submitted once",
        "tests/shared/features/import_export/test_importing.py",
    ),
    line(
        "Every act with input has a form made from its model, and no template contains content that the policy forbids",
        "tests/shared/platform/console/test_forms.py",
        "tests/shared/platform/console/test_drawing.py",
    ),
    line(
        "Record access is shown with names to people of the same party only. Auditors see opaque ids",
        "tests/console/test_who_has_looked.py",
    ),
    line(
        "An amendment's changes are shown field by field, as far as the reader may see them",
        "tests/shared/core/protocol/test_compared.py",
    ),
    line(
        "Typed text reappears for its author after a session ends, and is stored nowhere", "tests/console/test_typed.py"
    ),
    line("An auditor's pages list every matching flow exactly once", "tests/console/test_flows_paged.py"),
    line(
        "A person signs in through a real provider on another site. A changed or ended role applies from the next "
        "request, on pages and over the API. No person is both reviewers, and record access needs a recent sign-in",
        "tests/console/test_sign_in.py",
    ),
    line(
        "An auditor sees only flows and pairs with a party in scope. A flow out of scope looks like an absent one",
        "tests/services/audit/test_scope.py",
    ),
)
