"""Every page of every console, with its party, and the checks that are done on each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

from playwright.async_api import Page as BrowserPage

from shared.core.clock import SystemClock
from tests.contracts.npm_packages import installed
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER

AUDITOR: Final = "auditor.example"
WHY: Final = "purpose=yearly+review"
BYTES_MAX: Final = 100_000
_TODAY: Final = SystemClock().now().date()
_AROUND: Final = timedelta(days=30)
#: The rules that pages must satisfy.
TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


class Subjects(NamedTuple):
    """The subjects of the pages: a referral, its notice, a webhook of the hotline.

    `place` is part of the referral's location and occurs only there: a canary. `more` is a preservation, `work` the
    work item of the notice. `digest` is of the flow's first message.
    """

    referral: str
    notice: str
    webhook: str
    place: str
    more: str = ""
    work: str = ""
    digest: str = ""


class Kept(NamedTuple):
    """A page: its party, its path below /console, and whether its existence is hidden from other parties.

    The party `also` has it under the same id, at its own service.
    """

    party: str
    path: str
    own: bool = False
    also: str = ""


PAGES: Final = (
    Kept(HOTLINE, "attention"),
    Kept(HOTLINE, "referrals"),
    Kept(HOTLINE, "referrals?state=withdrawn"),
    Kept(HOTLINE, "referrals/{referral}", own=True),
    Kept(HOTLINE, "referrals/{referral}/amend", own=True),
    Kept(HOTLINE, "new"),
    Kept(HOTLINE, "import"),
    Kept(HOTLINE, "due"),
    Kept(HOTLINE, "webhooks"),
    Kept(HOTLINE, "webhooks/{webhook}", own=True),
    Kept(HOTLINE, "settings"),
    Kept(HOTLINE, "break"),
    Kept(OTHER_HOTLINE, "offers"),
    Kept(OTHER_HOTLINE, "offers/{referral}", own=True),
    Kept(AGENCY, "attention"),
    Kept(AGENCY, "inbox"),
    Kept(AGENCY, "inbox?priority=p0"),
    Kept(AGENCY, "inbox?claimed=mine"),
    Kept(AGENCY, "inbox/{referral}", own=True),
    Kept(AGENCY, "preservations"),
    Kept(AGENCY, "preservations?state=preserved"),
    Kept(AGENCY, "preservations/new"),
    Kept(AGENCY, "preservations/{more}", own=True, also=PROVIDER),
    Kept(AGENCY, "due"),
    Kept(PROVIDER, "attention"),
    Kept(PROVIDER, "referrals"),
    Kept(PROVIDER, "new"),
    Kept(PROVIDER, "notices"),
    Kept(PROVIDER, "notices/{notice}", own=True),
    Kept(PROVIDER, "work-items"),
    Kept(PROVIDER, "work-items/{work}", own=True),
    Kept(PROVIDER, "preservations"),
    Kept(PROVIDER, f"report?since={_TODAY - _AROUND}&until={_TODAY + _AROUND}&exercises=true"),
    Kept(PROVIDER, "due"),
    Kept(PROVIDER, "webhooks"),
    Kept(AUDITOR, "flows"),
    Kept(AUDITOR, f"flows?{WHY}"),
    Kept(AUDITOR, "flows/{referral}"),
    Kept(AUDITOR, f"flows/{{referral}}?{WHY}", own=True),
    Kept(AUDITOR, "flows/{referral}/{digest}"),
    Kept(AUDITOR, f"flows/{{referral}}/{{digest}}?{WHY}", own=True),
    Kept(AUDITOR, f"reconciliation?{WHY}"),
    Kept(AUDITOR, f"topics?{WHY}"),
    Kept(AUDITOR, "accesses"),
    Kept(AUDITOR, f"accesses?{WHY}"),
    Kept(AUDITOR, "blank"),
    Kept(AUDITOR, "nowhere"),
)


def filled(path: str, subjects: Subjects) -> str:
    return path.format(**subjects._asdict())


def axe() -> Path:
    """Return the file of axe-core."""
    return installed("axe") / "node_modules/axe-core/axe.min.js"


async def violations(page: BrowserPage) -> Sequence[str]:
    """Return axe's findings on the page as shown now: rule and element."""
    # Wait for the style: until the page has loaded, only its address may have changed.
    await page.wait_for_load_state()
    # Through the debugger instead of a tag, because the page's own policy blocks foreign scripts.
    await page.evaluate(axe().read_text(encoding="utf-8"))
    found = await page.evaluate(
        "tags => axe.run({runOnly: {type: 'tag', values: tags}}).then(r => r.violations.flatMap("
        "v => v.nodes.map(n => `${v.id} at ${n.target} in ${n.html.slice(0, 120)}`)))",
        list(TAGS),
    )
    return [str(each) for each in found]


async def overflow_px(page: BrowserPage) -> int:
    """Return by how many pixels the page is wider than its viewport."""
    return int(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
