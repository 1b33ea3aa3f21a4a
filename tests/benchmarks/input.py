"""The input of the benchmark: sampled referrals of hotlines whose decision has exactly two edges."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import fmean
from typing import Any

from deploy.sample.generator import sample_referrals
from shared.core.canonical import canonical_json
from shared.core.clock import SystemClock
from shared.core.contracts.referral import ReferralSubmission
from shared.core.contracts.registry import Family
from shared.core.errors import Refused
from shared.core.protocol.prepare import Documents, check
from shared.core.routing.documents import read_directory, read_policy
from tests.benchmarks.load import Post
from tests.support.preparing import prepare

FAN_OUT = 2


def documents_of(state: Path) -> Documents:
    """Return the documents that the installation in `state` has published."""
    directory = read_directory((state / "directory.json").read_bytes())
    return Documents(directory, read_policy((state / "policy.json").read_bytes()))


def referrals_with_fan_out(documents: Documents, party: str, distinct: int) -> list[dict[str, Any]]:
    """Return `distinct` sampled referrals that go to exactly two recipients if `party` submits them."""
    origin = documents.directory.party(party)
    found: list[dict[str, Any]] = []
    drawn = sample_referrals(start=date(2026, 3, 15), end=date(2026, 4, 20), count=distinct * 8, seed=7, dirty=0.0)
    for each in drawn:
        if not each.origin.startswith("hotline"):
            continue
        submission = ReferralSubmission.model_validate_json(json.dumps(each.referral))
        try:
            outcome = check(submission, origin=origin, documents=documents, at=SystemClock().now()).judged
        except Refused:
            continue
        if len(outcome.edges) == FAN_OUT:
            found.append(each.referral)
            if len(found) == distinct:
                return found
    raise AssertionError("the sample has too few referrals with this fan-out")


def clear_bytes(documents: Documents, party: str, referrals: Sequence[dict[str, Any]]) -> int:
    """Return the mean size of the clear part of messages between parties."""
    origin = documents.directory.party(party)
    sizes = []
    for each in referrals:
        submission = ReferralSubmission.model_validate_json(json.dumps(each))
        drafts = prepare(submission, origin=origin, documents=documents, at=SystemClock().now()).drafts
        sent = [draft for draft in drafts if draft.message.family in (Family.REFERRAL, Family.NOTICE)]
        sizes += [len(canonical_json(dict(draft.clear))) for draft in sent]
    return round(fmean(sizes))


class Pool:
    """Distinct referrals, each submitted once, so that a service's cache of one never helps with another."""

    def __init__(self, referrals: Sequence[dict[str, Any]]) -> None:
        self._referrals = referrals
        self._taken = 0

    def sample(self, count: int) -> Sequence[dict[str, Any]]:
        """Return some of them, to inspect."""
        return self._referrals[:count]

    def posts(self, count: int, *, batch: int, run: str) -> list[Post]:
        """Return the next `count`, under fresh references, as single posts (`batch` 1) or in lists."""
        first, self._taken = self._taken, self._taken + count
        assert self._taken <= len(self._referrals), "more is filed than was drawn"
        fresh = [self._referrals[n] | {"external_ref": f"{run}-{n}"} for n in range(first, self._taken)]
        if batch == 1:
            return [
                Post("/v1/referrals", each["external_ref"], json.dumps(each).encode(), (each["external_ref"],))
                for each in fresh
            ]
        lists = [fresh[start : start + batch] for start in range(0, count, batch)]
        return [
            Post(
                "/v1/referrals:batch",
                f"{run}-batch-{n}",
                json.dumps({"referrals": each}).encode(),
                tuple(one["external_ref"] for one in each),
            )
            for n, each in enumerate(lists)
        ]

    def original(self, external_ref: str) -> dict[str, Any]:
        """Return the referral that was submitted under this reference."""
        return self._referrals[int(external_ref.rpartition("-")[2])]
