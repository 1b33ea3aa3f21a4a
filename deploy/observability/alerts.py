"""The alerts: when somebody is to look, how soon, and what to do first. `docs/operations/alerts.md` is written of them.

An instance of several processes measures the same tables in each: of table gauges the greatest counts, counters add up.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from shared.messaging.exceptions import EXCEPTION_BYTES_MAX, EXCEPTIONS_MAX


class Severity(StrEnum):
    """How soon somebody looks: at once, whatever the hour; today; this week."""

    PAGE = "page"
    TODAY = "today"
    WEEK = "week"


class Alert(NamedTuple):
    """One rule. `holds` is PromQL that has a value while something is wrong, `for_m` for how many minutes on end."""

    name: str
    holds: str
    for_m: int
    severity: Severity
    says: str
    first: str


def _greatest(metric: str) -> str:
    return f"max by (instance) ({metric})"


ALERTS: Final = (
    Alert(
        "CausewayNothingLeaves",
        f"{_greatest('causeway_outbox_age_seconds')} > 60",
        2,
        Severity.PAGE,
        "Messages wait to be appended: the broker is down, or the relay is.",
        (
            "`causeway doctor`, then the instance's log for `relay_waits`. Nothing is lost meanwhile: "
            "accepted messages stay in the database and are sent by themselves."
        ),
    ),
    Alert(
        "CausewayNothingIsAcknowledged",
        f"{_greatest('causeway_unacked_age_seconds')} > 300",
        5,
        Severity.PAGE,
        "A recipient does not acknowledge its messages.",
        (
            "`causeway status` of all instances; call the operator of the recipient that is behind. Its messages stay "
            "in the sender's database and are sent again by themselves."
        ),
    ),
    Alert(
        "CausewayKeptBytes",
        f"{_greatest('causeway_kept_bytes')} > 4e9",
        10,
        Severity.TODAY,
        "An instance keeps many sealed messages for a reader that does not acknowledge them.",
        ("Call the operator of that reader, which may be audit. The database grows until the reader acknowledges."),
    ),
    Alert(
        "CausewayClocksSetAside",
        f"{_greatest('causeway_clocks_aside_rows')} > 0",
        0,
        Severity.TODAY,
        "Clocks of an edge cannot be reckoned and were set aside: its parties are not told what falls due of it.",
        (
            "`clock_set_aside` in the log has the edge and a code. Each is tried once an hour; all others are told. "
            "Report a `clock_defect`."
        ),
    ),
    Alert(
        "CausewaySubjectsSetAside",
        f"{_greatest('causeway_subjects_aside')} > 0",
        0,
        Severity.TODAY,
        "What the service owes by its rules (answer, erase, lapse) could not be done of some subjects: they wait.",
        (
            "`subject_set_aside` in the log has each subject, the act and a code. Each is tried again by itself, at "
            "most an hour apart, unless a person does it; all others go on. Report an `internal_error`."
        ),
    ),
    Alert(
        "CausewayDeadLetters",
        f"{_greatest('causeway_dead_letter_records')} > 0",
        5,
        Severity.TODAY,
        "An instance has messages that it can neither apply nor refuse.",
        (
            "`causeway dead-letters list`, then the code's row in [alarms.md](alarms.md). Treat a forged message as an "
            "attack until you know better."
        ),
    ),
    Alert(
        "CausewayManyExceptions",
        f"{_greatest('causeway_exception_records')} > {EXCEPTIONS_MAX // 10}",
        10,
        Severity.TODAY,
        "A stream has a tenth of the exceptions at which an instance stops reading it.",
        "`causeway dead-letters list` shows the code: a version, a document or a place that the messages wait for.",
    ),
    Alert(
        "CausewayLargeExceptions",
        f"{_greatest('causeway_exception_bytes')} > {EXCEPTION_BYTES_MAX // 10}",
        10,
        Severity.TODAY,
        "A stream has a tenth of the bytes of exceptions at which an instance stops reading it.",
        "`causeway dead-letters list` shows the code: a version, a document or a place that the messages wait for.",
    ),
    Alert(
        "CausewayOperatorLines",
        f"{_greatest('causeway_operator_lines')} > 0",
        60,
        Severity.TODAY,
        "An instance and a peer know different things, and a person must look at it.",
        "`causeway operator-list show` says what each line means; close a line when you have dealt with it.",
    ),
    Alert(
        "CausewayAuditDoesNotReadAll",
        'sum by (instance) (causeway_audit_partitions{state=~"gap|truncated|forbidden"}) > 0',
        2,
        Severity.PAGE,
        "Audit has a partition that it cannot read, or that has lost records.",
        (
            "`causeway audit topics` names it. Writers send lost records again by themselves. If audit may not read a "
            "topic, run `causeway topics apply`."
        ),
    ),
    Alert(
        "CausewayDocumentsEndSoon",
        "min by (instance, kind) (causeway_document_days_left) < 30",
        60,
        Severity.WEEK,
        "The directory or the policy in force is to be replaced.",
        (
            "`causeway directory draft` or `causeway policy review`, two approvals, publish. After its "
            "grace nothing is decided any more: it waits."
        ),
    ),
    Alert(
        "CausewayClockOff",
        'max by (instance) (causeway_edges_wait{reason="clock_off"}) > 0',
        2,
        Severity.PAGE,
        "An instance's clock is over a minute from the broker's: its edges wait.",
        (
            "Which of the two is wrong? Ask the time of both machines, and why it is not kept (NTP), and set it right. "
            "Whatever is appended next shows it, and the edges leave by themselves; what was dated ahead waits for its "
            "time, 3 hours at most. If all instances say it, it is the broker's."
        ),
    ),
    Alert(
        "CausewayBeatIsOld",
        f"{_greatest('causeway_beat_age_seconds')} > 300",
        5,
        Severity.TODAY,
        "An instance has not heard for five minutes which documents are newest.",
        (
            "Does whoever sends beats run? Can the instance read `causeway.directory.v1`? Its edges wait "
            "meanwhile and leave by themselves."
        ),
    ),
    Alert(
        "CausewayLawHasAged",
        "sum by (instance) (causeway_law_aged) > 0",
        60,
        Severity.WEEK,
        "An instrument that the policy cites has ended, was succeeded, or was not reviewed for 90 days.",
        "`causeway policy review` names it and the rules that cite it.",
    ),
    Alert(
        "CausewayPartyAlarm",
        "sum by (instance, kind) (increase(causeway_alarms_total[1h])) > 0",
        0,
        Severity.TODAY,
        "A party does something at its origin's door that a person should look at.",
        "[guard_alarms.md](guard_alarms.md): whose it is stands in the instance's own database.",
    ),
    Alert(
        "CausewayChildAtRiskWaits",
        'sum by (instance) (increase(causeway_unreleased_total{reason="over_day"}[10m])) > 0',
        0,
        Severity.PAGE,
        "A report of a child at risk waits for a second person, because its party's day is spent.",
        "Call the party: `causeway referral work` shows it there, `causeway referral release ID` lets it go.",
    ),
    Alert(
        "CausewayWebhookPaused",
        f"{_greatest('causeway_webhooks_paused')} > 0",
        60,
        Severity.WEEK,
        "A party's receiver was away for three days; nothing is sent to it any more.",
        "Tell the party: `causeway webhook list` shows since when; `causeway webhook replay` begins again.",
    ),
    Alert(
        "CausewayServerErrors",
        'sum by (instance) (increase(causeway_http_requests_total{status=~"5.."}[5m])) > 5',
        0,
        Severity.TODAY,
        "An instance answers requests with errors of its own.",
        (
            "`causeway status`; the log of the instance names route and error. 503 with a database or "
            "broker down mends itself."
        ),
    ),
    Alert(
        "CausewayIntakeIsSlow",
        "histogram_quantile(0.99, sum by (instance, le) (rate(causeway_intake_seconds_bucket[5m]))) > 2",
        5,
        Severity.TODAY,
        "One in a hundred submissions takes over two seconds until it is durable.",
        (
            "The database's disk first (`causeway doctor` checks what is durable), then the load: "
            "`causeway_http_requests_total`."
        ),
    ),
)
