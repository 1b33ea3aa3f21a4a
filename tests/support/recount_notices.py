"""A second count of a provider's notice report: a program that imports nothing of the project.

Standard input: `{"notices": [...], "since": day, "until": day, "exercises": bool}`: each notice as a provider sees it,
opened, with the events of its `timeline`. `erased` is the kind of incident of notices whose record was erased. Standard
output: by category the ten counted cells, "" where unknown.
"""

import json
import sys
from datetime import date, datetime

MATERIAL = {"csam", "self_generated", "live_stream", "molestation", "virtual"}
GROOMING = {"csem_grooming", "enticement", "sextortion", "obscene_to_minor"}
DONE = {"removed", "geo_disabled", "account_suspended"}


def keyword(kind):
    if kind in MATERIAL:
        return "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL"
    if kind == "generative_ai":
        return "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL_DEEPFAKE"
    return "KEYWORD_GROOMING_SEXUAL_ENTICEMENT_MINORS" if kind in GROOMING else "KEYWORD_OTHER"


def hours(notices):
    met = []
    for notice in notices:
        done = [each for each in notice.get("items") or [] if each.get("action") in DONE]
        answers = [
            datetime.fromisoformat(event["at"])
            for event in notice["timeline"]
            if event["type"] == "notice.answer" and event.get("state") in ("in_part", "actioned")
        ]
        if done and answers:
            waited = min(answers) - datetime.fromisoformat(notice["received_at"])
            met.append(max(int(waited.total_seconds() // 60), 0))
    return f"{sorted(met)[(len(met) - 1) // 2] / 60:.2f}" if met else ""


def counted(notices):
    def is_flagged(basis):
        return basis["instrument"] == "dsa" and basis["article"].startswith("Art. 22")

    flagged = [notice for notice in notices if any(map(is_flagged, notice["edge"]["basis"]))]
    cells = []
    for one in (
        lambda some: str(len(some)),
        lambda some: str(sum(len(notice["numbers"]) for notice in some)),
        hours,
        lambda some: str(sum(each.get("action") in DONE for n in some for each in n.get("items") or [])),
        lambda some: "",
    ):
        cells += [one(notices), one(flagged)]
    return cells


def main():
    asked = json.load(sys.stdin)
    since, until = date.fromisoformat(asked["since"]), date.fromisoformat(asked["until"])
    rows = {"STATEMENT_CATEGORY_PROTECTION_OF_MINORS": [], keyword("csam"): [], keyword("generative_ai"): []}
    rows |= {keyword("enticement"): [], keyword("other"): []}
    for notice in asked["notices"]:
        sent_under = {basis["instrument"] for basis in notice["edge"]["basis"]}
        within = since <= datetime.fromisoformat(notice["received_at"]).date() <= until
        if within and notice["exercise"] == asked["exercises"] and "dsa" in sent_under:
            rows["STATEMENT_CATEGORY_PROTECTION_OF_MINORS"].append(notice)
            kind = notice["record"]["incident_kind"] if notice["record"] else asked["erased"]
            rows[keyword(kind)].append(notice)
    json.dump({category: counted(notices) for category, notices in rows.items()}, sys.stdout)


main()
