"""The sample load: referrals as hotlines and providers would submit them, drawn from the published tables.

`tables/README.md` names the table of each fact. Facts without a published table are constants below.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Final

from deploy.directory.approval import establishment, served_places
from deploy.sample import published
from deploy.sample.published import ProviderRow, SeededRandom, Share, assumed, shares
from shared.core.canonical import Json
from shared.core.clock import rfc3339

#: The number of referrals that the demo submits.
DEMO_COUNT: Final = 600
#: The dirty codes of the published tables themselves, by label: an unknown code leads to an unrouted referral.
DIRTY = {"europe": "Europe", "netherlands_antilles": "AN", "no_country": "No Country Listed"}

# Stated assumptions: no published table gives these. Shares of 1.
_HOTLINE_FILINGS = 0.5
#: Hosting outside the countries that the IWF table lists (INHOPE counted 86 hosting countries in 2024).
_OTHER_HOSTS = 0.05
_HOST_UNKNOWN, _HOST_PROVIDER_NAMED, _HOST_CDN, _MORE_ITEMS = 0.03, 0.4, 0.1, 0.15
_ACCOUNTS_OF_HOTLINES, _HOTLINE_KNOWS_USER, _HOTLINE_KNOWS_VICTIM, _UNASSESSED = 0.06, 0.2, 0.03, 0.1
_PRIORITY_BASIS = {"p0_child_at_risk": ["imminent_harm"], "p1_urgent": ["new_material"]}


@dataclass(frozen=True, slots=True)
class SampledReferral:
    """One submission: its origin, the body for `POST /v1/referrals`, and the dirty code in it, if any."""

    origin: str
    label: str | None
    referral: Json


def demo_referrals() -> Iterator[SampledReferral]:
    """Draw the demo's 600 referrals.

    With its seed, every rule of the sample policy decides at least one of them.
    """
    return sample_referrals(start=date(2026, 3, 15), end=date(2026, 4, 20), count=DEMO_COUNT, seed=1, dirty=0.01)


def sample_referrals(*, start: date, end: date, count: int, seed: int, dirty: float) -> Iterator[SampledReferral]:
    """Draw `count` referrals observed from `start` to `end` (both included, UTC), in that order.

    A share of `dirty` (rounded, at least one if it is not 0) carries an unknown code, each kind equally often. The same
    arguments give the same referrals on every Python version.
    """
    draw = SeededRandom(seed)
    times = draw.times(start, end, count)
    spoilt = draw.places(count, min(count, max(round(count * dirty), int(dirty > 0))))
    kinds = tuple(DIRTY)
    labels = {place: kinds[turn % len(kinds)] for turn, place in enumerate(spoilt)}
    for index, observed_at in enumerate(times):
        filing = _hotline_filing if draw.chance(_HOTLINE_FILINGS) else _provider_filing
        origin, referral = filing(draw, observed_at)
        label = labels.get(index)
        if label:
            _spoil(referral, DIRTY[label])
        yield SampledReferral(origin, label, {"external_ref": f"sample-{seed}-{index:06d}"} | referral)


def write_jsonl(path: Path, sampled: Iterable[SampledReferral]) -> int:
    """Write one object per line: `origin`, `label` (the dirty code, or null) and `referral`.

    Return the row count.
    """
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for each in sampled:
            line = {"origin": each.origin, "label": each.label, "referral": each.referral}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            rows += 1
    return rows


def _hotline_filing(draw: SeededRandom, observed_at: datetime) -> tuple[str, Json]:
    country = draw.one_of(_filing_hotlines())
    origin = f"hotline-{country.lower()}.example"
    referral = _what(draw, observed_at, viewed_by="human")
    if draw.chance(_ACCOUNTS_OF_HOTLINES):
        items = [_account_item(draw, draw.one_of(published.providers()))]
    else:
        items = _hosted_items(draw, observed_at)
    for item in items:
        item["commerciality"] = draw.weighted(assumed("commerciality"))
        item["site_type"] = draw.weighted(shares("site_types_2023", "site_type", "share_pct"))
        if not draw.chance(_UNASSESSED):
            item["assessments"] = [_assessment(draw, country, observed_at)]
    referral["items"] = items
    if items[0]["locator"]["kind"] == "url" and not items[0]["hosting"]:
        referral["actionable"] = {"status": "incomplete", "missing": ["hosting"]}
    if draw.chance(_HOTLINE_KNOWS_USER):
        referral["user_jurisdictions"] = _user_place(draw)
    if draw.chance(_HOTLINE_KNOWS_VICTIM):
        referral["victim_jurisdictions"] = _user_place(draw)
    if draw.chance(0.3):
        referral["correlations"] = [{"system": "iccam_report", "ref": draw.number(7)}]
    return origin, referral


@cache
def _filing_hotlines() -> tuple[str, ...]:
    return tuple(code for code in published.hotline_countries() if code in served_places())


@cache
def _other_hosts() -> tuple[str, ...]:
    listed = {row.value for row in published.hosting_countries()}
    return tuple(row.value for row in published.user_countries() if row.value not in listed | {""})


def _hosted_items(draw: SeededRandom, observed_at: datetime) -> list[Json]:
    """Return one site or onion service, with one to three locations on it."""
    country = _host_country(draw)
    count = draw.one_of((2, 3)) if draw.chance(_MORE_ITEMS) else 1
    if not country:
        onion = draw.onion()
        locators = [{"kind": "onion", "value": f"http://{onion}/{draw.number(5)}"} for _ in range(count)]
        return [{"locator": locator, "hosting": [], "hashes": _hashes(draw)} for locator in locators]
    hosting, host = _hosting(draw, country, observed_at)
    return [
        {"locator": {"kind": "url", "value": draw.url(host)}, "hosting": hosting, "hashes": _hashes(draw)}
        for _ in range(count)
    ]


def _hosting(draw: SeededRandom, country: str, observed_at: datetime) -> tuple[list[dict[str, object]], str]:
    """Return the hosting of a site, as far as the hotline knows it, and its host name."""
    stated: dict[str, object] = {}
    host = draw.site()
    if not draw.chance(_HOST_UNKNOWN):
        stated["jurisdiction"] = country
    if draw.chance(_HOST_PROVIDER_NAMED):
        provider = draw.one_of(published.providers())
        stated["provider"] = host = provider.stated_as
    if not stated:
        return [], host
    stated |= {"method": draw.one_of(("stated", "local_snapshot")), "observed_on": _day(observed_at)}
    return [stated | {"is_cdn": draw.chance(_HOST_CDN)}], host


def _host_country(draw: SeededRandom) -> str:
    """Return a hosting country, a part of GB, or "" for an onion service."""
    if draw.chance(_OTHER_HOSTS):
        return draw.one_of(_other_hosts())
    country = draw.weighted(published.hosting_countries())
    return draw.weighted(assumed("uk_part")) if country == "GB" else country


def _provider_filing(draw: SeededRandom, observed_at: datetime) -> tuple[str, Json]:
    provider = published.providers()[int(draw.weighted(_provider_shares()))]
    referral = _what(draw, observed_at, viewed_by=draw.weighted(assumed("industry_viewed_by")))
    kind = draw.weighted(assumed("industry_locator"))
    if kind == "account":
        item = _account_item(draw, provider)
    else:
        value = draw.url(provider.party) if kind == "url" else f"channel-{draw.number(8)}/{draw.number(10)}"
        item = {"locator": {"kind": kind, "value": value}, "hosting": [_own(provider)], "hashes": _hashes(draw)}
    if draw.chance(0.5):
        country = establishment(provider.party)[:2]
        item["assessments"] = [_stated_assessment(draw, "esp_industry", country, observed_at=observed_at)]
    referral["items"] = [item]
    referral["actionable"] = {"status": draw.weighted(shares("actionability_2023", "status", "reports"))}
    referral["user_jurisdictions"] = _user_place(draw)
    events = [
        {
            "ip": draw.ip(),
            "port": draw.port(),
            "at": rfc3339(draw.seconds_before(observed_at, days=14)),
            "kind": draw.one_of(("login", "upload", "registration")),
        }
        for _ in range(draw.one_of((1, 2, 3)))
    ]
    referral["subject_accounts"] = [{"service": provider.party, "account": _account(draw, provider), "events": events}]
    return provider.party, referral


@cache
def _provider_shares() -> tuple[Share, ...]:
    return tuple(Share(str(position), row.reports) for position, row in enumerate(published.providers()))


def _what(draw: SeededRandom, observed_at: datetime, *, viewed_by: str) -> dict[str, object]:
    level = draw.weighted(assumed("priority"))
    return {
        "exercise": True,
        "incident_kind": draw.weighted(shares("incident_kinds_2023", "incident_kind", "reports")),
        "incident_flags": ["generative_ai"] if draw.chance(0.04) else [],
        "observed_at": rfc3339(observed_at),
        "media_kind": draw.weighted(shares("attachments_2023", "media_kind", "files")),
        "viewed_by": viewed_by,
        "priority": {"level": level, "basis": _PRIORITY_BASIS.get(level, [])},
    }


def _account_item(draw: SeededRandom, provider: ProviderRow) -> Json:
    return {"locator": {"kind": "account", "value": _account(draw, provider)}, "hosting": [_own(provider)]}


def _account(draw: SeededRandom, provider: ProviderRow) -> str:
    return f"user-{draw.number(6)}@{provider.party}"


def _own(provider: ProviderRow) -> dict[str, object]:
    return {"provider": provider.stated_as, "method": "provider"}


def _hashes(draw: SeededRandom) -> dict[str, str]:
    hashes = {"md5": draw.hexadecimal(16), "sha1": draw.hexadecimal(20)}
    return hashes | ({"pdq": draw.hexadecimal(32)} if draw.chance(0.4) else {})


def _assessment(draw: SeededRandom, country: str, observed_at: datetime) -> dict[str, object]:
    return _stated_assessment(draw, "iwf" if country == "GB" else "interpol_baseline", country, observed_at=observed_at)


def _stated_assessment(draw: SeededRandom, scheme: str, country: str, *, observed_at: datetime) -> dict[str, object]:
    value = draw.weighted(assumed(scheme))
    return {
        "scheme": scheme,
        "value": value,
        "jurisdiction": country,
        "assessed_on": _day(observed_at),
        "status": "provisional" if value == "doubtful" else "final",
    }


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _user_place(draw: SeededRandom) -> list[str]:
    """Return the user's country, state or part of it; empty if the table has "No Country Listed"."""
    country = draw.weighted(published.user_countries())
    if country == "US":
        return [draw.weighted(published.us_states())]
    if country == "GB":
        return [draw.weighted(assumed("uk_part"))]
    return [country] if country else []


def _spoil(referral: Json, code: str) -> None:
    """Put an unknown code in place of a country: of the hosting if it is stated, otherwise of the user."""
    placed = [hosting for item in referral["items"] for hosting in item["hosting"] if "jurisdiction" in hosting]
    for hosting in placed:
        hosting["jurisdiction"] = code
    if not placed:
        referral["user_jurisdictions"] = [code]
