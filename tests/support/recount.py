"""Recount the recipients of referrals: a second implementation of the routing rules, without shared code.

    python recount.py --referrals FILE.jsonl --directory FILE.json --policy FILE.json --tree FILE.json --on YYYY-MM-DD
    the same with --before POLICY.json: the changes from that policy to the other, by rule and direction

Reads the sampled referrals, the two documents and the data of the jurisdiction tree. `--on` is the UTC day of decision.
Imports only the standard library. It has plain loops and no index, so it is slow and easy to check.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FOREVER = "9999-12-31"
#: Maps (recipient, purpose) to rule ids.
Edges = dict[tuple[str, str], list[str]]


class Recount:
    """The documents and the day of decision. Dates are ISO texts, which sort as days."""

    def __init__(self, directory: dict[str, Any], policy: dict[str, Any], tree: dict[str, Any], on: str) -> None:
        self.parties = {party["id"]: party for party in directory["parties"]}
        self.rules = sorted(policy["rules"], key=lambda rule: rule["id"])
        listed = policy.get("instruments") or []
        self.unconfirmed = {each["id"] for each in listed if each.get("confirmation") == "unconfirmed"}
        self.countries = {entry["code"]: entry for entry in tree["countries"]}
        self.parents = {entry["code"]: entry["parent"] for entry in tree["subdivisions"]}
        self.blocs = tree["blocs"]
        self.on = on

    def decide(self, origin: str, referral: dict[str, Any]) -> dict[str, Any]:
        """Return the disposition, the edges as {(recipient, purpose): rule ids}, and the prohibited edges."""
        facts, unknown = self.facts(origin, referral)
        if unknown:
            return {"disposition": "unknown_code", "work_reason": unknown, "edges": {}, "not_sent": {}}
        status = "sandbox" if referral.get("exercise", True) else "live"
        proposed = self.proposals(facts, status, in_force=True)
        edges: Edges = {}
        not_sent: Edges = {}
        for (recipient, purpose), rules in proposed.items():
            removing = [
                rule["id"]
                for rule in self.rules
                if rule["effect"] == "prohibit"
                and self.in_force(rule, facts)
                and self.covers(rule["scope"], recipient, purpose)
                and self.holds(rule, facts, status)
            ]
            if removing:
                not_sent[recipient, purpose] = removing
            else:
                edges[recipient, purpose] = rules
        disposition, work_reason = self.disposition(facts, status, edges, not_sent)
        return {"disposition": disposition, "work_reason": work_reason, "edges": edges, "not_sent": not_sent}

    def facts(self, origin: str, referral: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        seen = referral["observed_at"][:10]
        party = self.parties[origin]
        hosting = [(item, host) for item in referral["items"] for host in item.get("hosting", [])]
        places = {
            "hosting": [host["jurisdiction"] for _, host in hosting if host.get("jurisdiction")],
            "user": referral.get("user_jurisdictions", []),
            "victim": referral.get("victim_jurisdictions", []),
        }
        unknown = any(not self.above(at, day) for codes in places.values() for at in codes for day in (seen, self.on))
        providers = {provider for item in referral["items"] for provider in self.providers(item, seen)}
        established = [self.parties[provider] for provider in providers if provider in self.parties]
        if unknown:
            return {}, "unknown_jurisdiction"
        if len(established) < len(providers) or any(each["kind"] != "industry" for each in established):
            return {}, "unknown_provider"
        facts = {
            "origin": [origin],
            "origin_kind": [party["kind"]],
            "reporter": party["jurisdictions"],
            "incident_kind": [referral["incident_kind"]],
            "incident_flags": referral.get("incident_flags", []),
            "locator_kinds": [item["locator"]["kind"] for item in referral["items"]],
            "media_kind": [referral["media_kind"]],
            "viewed_by": [referral.get("viewed_by", "unknown")],
            "priority": [referral.get("priority", {}).get("level", "p2_normal")],
            "actionable": [referral.get("actionable", {}).get("status", "actionable")],
            "assessments": [
                f"{a['scheme']}:{a['value']}" for item in referral["items"] for a in item.get("assessments", [])
            ],
            "providers": sorted(providers),
            "provider_establishment": [code for each in established for code in each["jurisdictions"]],
            "observed_on": [seen],
        }
        return facts | places, None

    def providers(self, item: dict[str, Any], day: str) -> set[str]:
        """Return the providers that host an item: as stated, else by AS number, else by the domain in a web address."""
        found = set()
        for host in item.get("hosting", []):
            if host.get("provider"):
                known = host["provider"] in self.parties
                other = None if known else self.owner("aliases", "party", host["provider"], day)
                found.add(other or host["provider"])
            elif host.get("asn") and (owner := self.owner("asns", "asn", host["asn"], day)):
                found.add(owner)
        if not found and item["locator"]["kind"] == "url":
            labels = (urlsplit(item["locator"]["value"]).hostname or "").split(".")
            names = [".".join(labels[start:]) for start in range(len(labels) - 1)]
            owners = [owner for name in names if (owner := self.owner("domains", "domain", name, day))]
            found |= set(owners[:1])
        return found

    def owner(self, field: str, key: str, value: object, day: str) -> str | None:
        held = [
            (row["valid_from"], row.get("valid_to") or FOREVER, party["id"])
            for party in self.parties.values()
            for row in party.get(field) or []
            if row[key] == value and row["valid_from"] <= day < (row.get("valid_to") or FOREVER)
        ]
        return max(held)[2] if held else None

    def above(self, code: str, day: str) -> list[set[str]]:
        """Return the code, then each place above it, then all blocs of the country together.

        Empty for an unknown code.
        """
        if any(bloc["code"] == code for bloc in self.blocs):
            return [{code}]
        levels = [code]
        while levels[-1] in self.parents:
            levels.append(self.parents[levels[-1]])
        country = self.countries.get(levels[-1])
        if country is None or not country.get("from", "") <= day < country.get("to", FOREVER):
            return []
        blocs = {
            bloc["code"]
            for bloc in self.blocs
            for member in bloc["members"]
            if member["code"] == levels[-1] and member.get("from", "") <= day < member.get("to", FOREVER)
        }
        return [*({level} for level in levels), blocs]

    def under(self, codes: list[str], day: str) -> set[str]:
        return {node for code in codes for level in self.above(code, day) for node in level}

    def judged(self, rule: dict[str, Any], facts: dict[str, Any]) -> str:
        return facts["observed_on"][0] if rule.get("judged_by") == "observation" else self.on

    def in_force(self, rule: dict[str, Any], facts: dict[str, Any]) -> bool:
        if rule["basis"]["instrument"] in self.unconfirmed:
            return False
        day = self.judged(rule, facts)
        return bool(rule["known_from"] <= self.on) and rule["valid_from"] <= day < (rule.get("valid_to") or FOREVER)

    def holds(self, rule: dict[str, Any], facts: dict[str, Any], status: str) -> bool:
        return all(self.condition(each, facts, self.judged(rule, facts), status) for each in rule["when"])

    def condition(self, condition: dict[str, Any], facts: dict[str, Any], day: str, status: str) -> bool:
        stated, values = facts[condition["fact"]], set(condition["values"])
        if condition["op"] == "unserved":
            return any(not self.nearest(code, condition["values"][0], None, status) for code in stated)
        compared = self.under(stated, day) if condition["op"].endswith("under") else set(stated)
        wanted = not condition["op"].startswith("not_")
        return bool(values & compared) is wanted

    def nearest(self, code: str, kind: str, mandate: str | None, status: str) -> set[str]:
        """Return the eligible parties at the nearest level that has any."""
        levels: list[set[str | None]] = [set(level) for level in self.above(code, self.on)]
        if mandate:
            levels.append({None})
        for level in levels:
            found = {
                party["id"]
                for party in self.parties.values()
                if party["kind"] == kind and party["status"] == status and level & self.stands(party, mandate)
            }
            if found:
                return found
        return set()

    def stands(self, party: dict[str, Any], mandate: str | None) -> set[str | None]:
        if mandate is None:
            return set(party["jurisdictions"])
        return {grant.get("covers") for grant in party.get("mandates") or [] if grant["mandate"] == mandate}

    def proposals(self, facts: dict[str, Any], status: str, *, in_force: bool) -> Edges:
        proposed: Edges = {}
        for rule in self.rules:
            permits = rule["effect"] == "permit" and self.in_force(rule, facts) == in_force
            if not (permits and self.holds(rule, facts, status)):
                continue
            for recipient in sorted(self.selected(rule["select"], facts, status)):
                accepts = self.parties[recipient].get("accepts")
                if recipient not in facts["origin"] and (not accepts or facts["incident_kind"][0] in accepts):
                    proposed.setdefault((recipient, rule["purpose"]), []).append(rule["id"])
        return dict(sorted(proposed.items()))

    def selected(self, select: dict[str, Any], facts: dict[str, Any], status: str) -> set[str]:
        if select["how"] == "named":
            named = (self.parties[party] for party in facts[select["by"]] if party in self.parties)
            return {each["id"] for each in named if each["kind"] == select["kind"] and each["status"] == status}
        mandate = select["mandate"] if select["how"] == "mandated" else None
        return {party for code in facts[select["by"]] for party in self.nearest(code, select["kind"], mandate, status)}

    def covers(self, scope: dict[str, Any], recipient: str, purpose: str) -> bool:
        party = self.parties[recipient]
        nodes, parties = scope.get("nodes"), scope.get("parties")
        return (
            purpose in scope["purposes"]
            and party["kind"] in scope["kinds"]
            and (not nodes or bool(set(nodes) & self.under(party["jurisdictions"], self.on)))
            and (not parties or recipient in parties)
        )

    def disposition(self, facts: dict[str, Any], status: str, edges: Edges, not_sent: Edges) -> tuple[str, str | None]:
        if not edges:
            if not_sent:
                return "unroutable", "prohibited"
            return "unroutable", "no_basis" if self.proposals(facts, status, in_force=False) else "no_route"
        reasons = {rule["id"]: rule.get("reason") for rule in self.rules}
        orphan = any(reasons[rule] == "orphan_mandate" for rules in edges.values() for rule in rules)
        sent = [rules for (recipient, _), rules in edges.items() if self.parties[recipient]["kind"] == "hotline"]
        to_hotlines = [reasons[rule] for rules in sent for rule in rules]
        if orphan and all(reason == "orphan_mandate" for reason in to_hotlines):
            return "orphaned", "no_hotline"
        return "routed", None


def summary(decisions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return counts per disposition, per unrouted reason, per recipient and purpose, and of the edges not sent."""

    def edges(name: str) -> dict[str, dict[str, int]]:
        counted: Counter[tuple[str, str]] = Counter(edge for decision in decisions for edge in decision[name])
        table: dict[str, dict[str, int]] = {}
        for (recipient, purpose), count in sorted(counted.items()):
            table.setdefault(recipient, {})[purpose] = count
        return table

    return {
        "referrals": len(decisions),
        "dispositions": dict(sorted(Counter(decision["disposition"] for decision in decisions).items())),
        "work_reasons": dict(sorted(Counter(d["work_reason"] for d in decisions if d["work_reason"]).items())),
        "recipients": edges("edges"),
        "not_sent": edges("not_sent"),
    }


def moves(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the decisions that differ in their disposition or in the rules of an edge, and each rule's share."""
    rules: dict[str, Counter[str]] = {}
    changed = []
    for number, (had, has) in enumerate(zip(before, after, strict=True)):
        differs = had["disposition"] != has["disposition"]
        for name, verb in (("edges", "sends"), ("not_sent", "stops")):
            old, new = (
                {(edge, rule) for edge, named in decision[name].items() for rule in named} for decision in (had, has)
            )
            differs = differs or old != new
            for direction, found in ((verb, new - old), (f"{verb}_no_more", old - new)):
                for _, rule in found:
                    rules.setdefault(rule, Counter())[direction] += 1
        if differs:
            changed.append(number)
    table = {rule: dict(sorted(directions.items())) for rule, directions in sorted(rules.items())}
    return {"referrals": len(after), "changed": changed, "rules": table}


def main() -> int:
    arguments = argparse.ArgumentParser(description="Count again who receives what.")
    for name in ("referrals", "directory", "policy", "tree"):
        arguments.add_argument(f"--{name}", type=Path, required=True)
    arguments.add_argument("--before", type=Path, help="another policy: count what moves from it")
    arguments.add_argument("--on", required=True, help="the UTC day of decision, YYYY-MM-DD")
    given = arguments.parse_args()
    directory, policy, tree = (json.loads(at.read_text("utf-8")) for at in (given.directory, given.policy, given.tree))
    recount = Recount(directory, policy, tree, given.on)
    rows = [json.loads(line) for line in given.referrals.read_text("utf-8").splitlines()]
    decisions = [recount.decide(row["origin"], row["referral"]) for row in rows]
    counted = summary(decisions)
    if given.before:
        earlier = Recount(directory, json.loads(given.before.read_text("utf-8")), tree, given.on)
        counted = moves([earlier.decide(row["origin"], row["referral"]) for row in rows], decisions)
    json.dump(counted, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
