"""What is not there yet, or not just now: the same is tried again, by the service or by you."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "aside_busy": Why(
        "the service has as much heavy work as it takes at once", "send it again in some seconds, under the same key"
    ),
    "aside_failed": Why(
        "the process beside the service ended while it worked",
        "send it again under the same key; the log of the service says why",
    ),
    "broker_record_bound": Why(
        "Kafka takes no record of this size",
        "`causeway topics diff` shows its bound, `causeway topics apply` mends it; what waits goes on by itself",
    ),
    "broker_refuses": Why(
        "Kafka does not let the instance read or write there, or the topic is missing",
        "`causeway topics diff` shows what is missing, `causeway topics apply` makes it",
    ),
    "broker_unavailable": Why(
        "Kafka does not answer", "look whether it runs and can be reached; everything waits, nothing is lost"
    ),
    "code_unknown": Why(
        "a word of the message stands in no list of this version",
        "install the version that has it; until then the message waits",
    ),
    "database_unavailable": Why(
        "PostgreSQL does not answer, or refuses the login",
        "look whether it runs and can be reached; send the same again under the same key",
    ),
    "document_unknown": Why(
        "a directory or policy that the message was decided by has not come here yet",
        "it is waited for; if it does not come, look at /readyz and the directory's topic",
    ),
    "documents_expired": Why(
        "the directory or the policy is over", "publish a new one: causeway directory publish, causeway policy publish"
    ),
    "documents_missing": Why(
        "no directory or policy has been published here", "publish both, or start the development stack once"
    ),
    "engine_unknown": Why(
        "the message was decided by an engine that this version does not have",
        "install the version that has it; until then the message waits",
    ),
    "erasure_journal_unwritable": Why(
        "the journal of erasures cannot be read or written, so nothing is erased; `kept`, a release of a referral and "
        "the removal of a webhook wait, too",
        "look at the file and its disk (ERASURES_FILE); it goes on by itself",
    ),
    "guard_unknown": Why(
        "the message was checked by an edition of the guard that this version does not have",
        "install the version that has it; until then the message waits",
    ),
    "http_address_taken": Why(
        "another process listens at that address, or it is not ours",
        "stop that process, or set another CAUSEWAY_INSTANCE_HTTP_PORT",
    ),
    "identity_busy": Why(
        "more keys are being looked up at once than the service takes", "send it again in some seconds"
    ),
    "instance_not_in_directory": Why(
        "the directory in force has no instance of this name",
        "publish a directory that has it, or start the instance under its name",
    ),
    "intake_full": Why(
        "more is being filed at once than the service takes, of all or of this party",
        "send it again in some seconds, under the same key",
    ),
    "intake_late": Why(
        "the filing waited for longer than its bound", "send it again under the same key: it is filed once"
    ),
    "lease_lost": Why(
        "another process publishes, or reads for audit, in place of this one now", "nothing: one of the two goes on"
    ),
    "offset_out_of_range": Why(
        "the records from that place on are gone from Kafka",
        "Kafka forgets after its retention; what was sent is kept by its sender and sent again",
    ),
    "recipient_awaited": Why(
        "the recipient stands in a directory that has not come here yet",
        "it is waited for; if it does not come, look at /readyz and the directory's topic",
    ),
    "table_in_use": Why("somebody uses the table for long", "once more, later"),
    "topic_made_again": Why("a topic was deleted and made again", "nothing: what is not receipted is sent again"),
    "topics_changed": Why("a topic was added", "nothing: it is read too from now on"),
    "type_unknown": Why(
        "the message is of a type that this version does not have",
        "install the version that has it; until then the message waits",
    ),
    "version_unknown": Why(
        "the message is of a version that this version does not have",
        "install the version that has it; until then the message waits",
    ),
}
