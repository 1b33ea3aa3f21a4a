"""Every page of every console, whose it is, and what is examined on each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

from playwright.async_api import Page as BrowserPage

from shared.kernel.clock import SystemClock
from tests.contracts.npm_packages import installed
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER

AUDITOR: Final = "auditor.example"
WHY: Final = "purpose=yearly+review"
BYTES_MAX: Final = 100_000
_TODAY: Final = SystemClock().now().date()
_AROUND: Final = timedelta(days=30)
#: What pages are held against.
TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


class Subjects(NamedTuple):
    """What there is to look at: a referral, its notice, an address of the hotline's.

    `place` is of the referral's location, and of nothing else anywhere: a canary. `more` is a preservation, `work` the
    work item of the notice; `digest` is of the flow's first message.
    """

    referral: str
    notice: str
    webhook: str
    place: str
    more: str = ""
    work: str = ""
    digest: str = ""


class Kept(NamedTuple):
    """A page: whose, where below /console, and whether nobody else may even know that it is there.

    `also` has it under the same id, at its own service.
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
    Kept(AUDITOR, "looks"),
    Kept(AUDITOR, f"looks?{WHY}"),
    Kept(AUDITOR, "blank"),
    Kept(AUDITOR, "nowhere"),
)


def filled(path: str, subjects: Subjects) -> str:
    return path.format(**subjects._asdict())


def axe() -> Path:
    """The file of axe-core."""
    return installed("axe") / "node_modules/axe-core/axe.min.js"


async def violations(page: BrowserPage) -> Sequence[str]:
    """What axe finds wrong on the page as it is shown now: rule and element."""
    # Not before its style is there: by then only the address may be.
    await page.wait_for_load_state()
    # By the debugger, not by a tag: the page's own policy lets no foreign script in.
    await page.evaluate(axe().read_text(encoding="utf-8"))
    found = await page.evaluate(
        "tags => axe.run({runOnly: {type: 'tag', values: tags}}).then(r => r.violations.flatMap("
        "v => v.nodes.map(n => `${v.id} at ${n.target} in ${n.html.slice(0, 120)}`)))",
        list(TAGS),
    )
    return [str(each) for each in found]


async def overflow_px(page: BrowserPage) -> int:
    """How far the page is wider than what it is shown in."""
    return int(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
