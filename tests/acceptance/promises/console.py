"""The consoles: what people are shown, and what they are not."""

from __future__ import annotations

from tests.acceptance.line import line

_PAGES = "tests/console/test_every_page.py"

#: A promise a line.
CONSOLE = (
    line(
        "Every interaction of the consoles' table is done in a real browser, with a script and without one",
        "tests/console/test_interactions.py",
    ),
    line(
        "No page shuts anybody out as far as axe finds, in the light and the dark; none is wider than 320 px or "
        "heavier than 100 KB, or asks anybody but its own server",
        _PAGES,
    ),
    line(
        "What is absent, foreign or forbidden is answered with the same bytes, page by page and party by party",
        "tests/console/test_apart.py",
    ),
    line(
        "A link opens once, a session ends, a cookie opens pages alone and a key the API alone, and no form of others "
        "counts",
        "tests/console/test_sessions.py",
    ),
    line(
        "A newcomer's first ten minutes are one journey in a browser: filed, held, released, preserved, removed, seen "
        "by audit, proven offline, and told by webhooks",
        "tests/console/test_ten_minutes.py",
    ),
    line(
        "A table is imported part by part: what is left goes on where it was, and a part sent twice is filed once",
        "tests/shared/party/test_importing.py",
    ),
    line(
        "Every act that takes something has a form made from its model, and no template holds what the policy forbids",
        "tests/shared/runtime/console/test_forms.py",
        "tests/shared/runtime/console/test_drawing.py",
    ),
    line(
        "Who has looked is told by name to the people of the same party and to nobody else; auditors stay opaque",
        "tests/console/test_who_has_looked.py",
    ),
    line(
        "What an amendment has changed is compared field by field, as far as the reader may see it",
        "tests/shared/party/test_compared.py",
    ),
    line(
        "What was typed comes back to whoever has typed it, over the end of a session, and is kept nowhere",
        "tests/console/test_typed.py",
    ),
    line("An auditor's pages have every flow found, and none twice", "tests/console/test_flows_paged.py"),
    line(
        "A person comes in over a real provider on another site; a role that changes or ends counts from the next "
        "request on, on pages and over the API; one person is no second one, and a record is opened to who has just "
        "proven who they are",
        "tests/console/test_sign_in.py",
    ),
    line(
        "An auditor sees the pairs with a party in scope, finds flows by no other, and nothing of a flow out of scope "
        "differs from one that is not there",
        "tests/services/audit/test_scope.py",
    ),
)
