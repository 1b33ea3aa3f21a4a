"""What the operator's verbs and a starting service say."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "accounts_malformed": Why(
        "the kept accounts cannot be read", "remove the file: the next reconciliation reads everything"
    ),
    "already_started": Why("the process of this name runs already", "stop it first"),
    "already_published": Why(
        "the month was published before, and says otherwise now",
        "what was published stays: look why the figures differ",
    ),
    "children_still_running": Why("processes of an earlier stack do not stop", "end them first"),
    "coordinates_malformed": Why(
        "the place of a record is not of its form", "topic/partition/offset, as `quarantine list` has it"
    ),
    "count_malformed": Why("the count is no whole number", "0 or more"),
    "database_admin_failed": Why(
        "the admin URL does not serve to make the databases", "look at its rights: it makes roles and databases"
    ),
    "database_made_otherwise": Why(
        "the database has another encoding or locale than the exchange's, and keeps it",
        "drop it, and have `causeway install database` make it anew",
    ),
    "days_reversed": Why("the last day lies before the first", "give --to a day not before --from"),
    "endpoints_unreadable": Why("the endpoints file is of another version", "start the stack again"),
    "erasure_journal_altered": Why(
        "a line of the journal of erasures is not the one that was written",
        "put the journal back as it was (docs/erasure.md)",
    ),
    "erasure_journal_lost": Why(
        "the journal of erasures ends before what the database knows of it",
        "put the newest journal back: it is never restored with a database (docs/erasure.md)",
    ),
    "installed_without_instance": Why(
        "the directory has instances that this installation has not",
        "publish a directory that has these, or `causeway dev reset`",
    ),
    "instance_keeps_no_quarantine": Why("the instance reads no inbox", "name one that receives"),
    "instance_kind_unknown": Why("nobody says of which kind the instance is", "the site file says so, in `kinds`"),
    "instance_not_in_site": Why("the site file does not have this instance", "add it there"),
    "instance_of_another_kind": Why(
        "the instance is of another kind than the verb names", "name the kind that the directory has for it"
    ),
    "instance_recovers_itself": Why("the instance reads on from its own cursors", "start it"),
    "instance_unavailable": Why("the instance does not answer", "look at its log"),
    "instance_unknown": Why("there is no instance of this name here", "name one of those that are listed"),
    "jar_digest_mismatch": Why(
        "a jar is not the one that is locked",
        "delete it from the jar cache and start again; if it comes back, do not go on",
    ),
    "jars_not_fetched": Why(
        "Kafka's jars could not be fetched", "is the package registry reachable? run `make setup` again"
    ),
    "java_missing": Why("no Java of version 17 or later is there", "run `make setup`, or install a Java runtime"),
    "kafka_admin_failed": Why(
        "Kafka did not do what its administrator asked", "look at the reason, and at the login of `admin`"
    ),
    "kafka_admin_password_missing": Why("a secure Kafka that is given needs the password of `admin`", "give it"),
    "kafka_not_embedded": Why(
        "this stack was given a Kafka, or is not started", "start it, or do this at the Kafka that was given"
    ),
    "kafka_not_formatted": Why("Kafka could not prepare its directory", "the last lines of its tool say why"),
    "kafka_not_provisioned": Why(
        "the cluster does not act by the manifest that was applied", "look whether it has one more administrator"
    ),
    "kafka_not_reachable": Why("the given Kafka does not let `admin` in", "see address and password"),
    "kafka_password_missing": Why("the site knows no Kafka password of this login", "name its file in the site file"),
    "kafka_runs": Why("Kafka's data is in use", "stop Kafka first"),
    "key_file_exposed": Why(
        "others of this machine can read a file of keys", "make it readable by its owner only (mode 0600)"
    ),
    "key_malformed": Why("the file holds no key of this kind", "32 bytes in base64, as `causeway key` writes them"),
    "key_missing": Why("a key that the instance needs is not there", "set the keys directory, or give the key itself"),
    "key_waits": Why("a key that was made before is not in its place yet", "put that one into its place first"),
    "kind_unknown": Why("there is no service of this kind", "name one of those that are listed"),
    "month_invalid": Why("the month is not of its form", "YYYY-MM"),
    "month_not_over": Why("something may still happen in the month", "a day after its end, as is said"),
    "month_unpublished": Why("a month of the two years was not published", "causeway statistics publish MONTH"),
    "no_free_port": Why("no loopback port from 20000 to 31999 is free", "stop something"),
    "no_such_log": Why("there is no log of this name", "name one of those that are listed"),
    "no_timers_here": Why("audit acts for no party", "name the instance of a party"),
    "origin_missing": Why("nobody says who files", "name it with --origin, or in each row"),
    "origin_unknown": Why("the directory has no such party", "compare the name with the directory"),
    "part_unknown": Why("a service has no part of this name", "name one of those that are listed"),
    "parties_file_malformed": Why(
        "the file of parties is not of its form", "a list of {party, kind, url, key} with sandbox keys"
    ),
    "parties_file_open_to_others": Why(
        "others of this machine can read the file of parties", "chmod 600 the file: it holds keys"
    ),
    "party_there_already": Why("the party is served by that instance already", "nothing is to be done"),
    "party_unknown": Why("there is no party of this name here", "compare the name with the directory"),
    "password_file_unreadable": Why("the file of a Kafka password cannot be read", "look at its path and rights"),
    "port_in_use": Why("a process outside this stack took a port of it", "end that process, start again"),
    "postgres_missing": Why("no PostgreSQL is installed", "run `make setup`, or give an admin URL in DATABASE_URL"),
    "postgres_not_embedded": Why(
        "this stack was given its databases, or is not started", "start it, or do this at the PostgreSQL that was given"
    ),
    "postgres_not_initialised": Why("PostgreSQL could not prepare its directory", "the last lines of its tool say why"),
    "process_ended": Why("a server of the stack ended while it was waited for", "the end of its log says why"),
    "process_not_ready": Why(
        "a server of the stack is not ready within its time",
        "the end of its log says why; on a busy machine, once more",
    ),
    "replay_what": Why("neither one record nor all are named", "the coordinates of one record, or --all"),
    "schema_differs": Why(
        "the database is not what the migrations of this version make", "`causeway db migrate`, or look who changed it"
    ),
    "schema_of_first_release": Why(
        "the first release made this database", "begin with an empty one: nothing is carried over from it"
    ),
    "schema_unknown": Why(
        "the database has tables that no migration made, or is at a revision that this code has not",
        "give the instance a database of its own, or run the release that made it",
    ),
    "settings_invalid": Why(
        "settings are missing, or are not of their form", "each is named; docs/operations/settings.md explains them"
    ),
    "share_malformed": Why("the share is no percentage", "from 0% to 100%"),
    "site_invalid": Why("the site file breaks its form", "docs/operations/site.md explains each key"),
    "site_missing": Why("the site file that was named cannot be read", "look at its path"),
    "site_named_twice": Why("a site file and a state directory are both named", "either --site or --state"),
    "stack_already_running": Why(
        "another supervisor holds this state directory", "use it, or stop it with `causeway dev down`"
    ),
    "stack_does_not_stop": Why("the supervisor still runs after its time", "look at its log; end it by its number"),
    "stack_not_started": Why("no stack is running here", "start it with `causeway dev up`"),
    "state_not_acquired": Why("the state directory is not held by this process", "start the stack first"),
    "table_unknown": Why(
        "a published table has not the columns of this version", "publish its months into a folder of their own"
    ),
    "time_without_publishing": Why("a time is given, but nothing is published", "--at goes with --publish"),
    "topic_names_collide": Why(
        "Kafka tells no dot from an underscore, and two topics differ in that alone", "give an instance another id"
    ),
    "topic_partitions_differ": Why(
        "a topic has another number of partitions than it should", "make it again, or keep the number it has"
    ),
    "unknown_setting": Why("no setting has this name", "docs/operations/settings.md lists them"),
    "auditors_uncalled": Why("auditors are called nothing", "leave --called out"),
    "called_malformed": Why(
        "what somebody is to be called is no name",
        "give letters, spaces, points, hyphens, apostrophes: 60 at most; empty takes it away",
    ),
    "person_malformed": Why(
        "what stands for a person is no opaque name", "give the 32 hexadecimal digits that their sign-in shows them"
    ),
    "person_unknown": Why(
        "nobody of that name may do anything there",
        "give the name that the person's page of settings shows for whoever gives roles",
    ),
    "role_not_of_party": Why(
        "auditors alone act as auditor, and not as analyst or machine",
        "leave --role out, or name a role of that kind of party",
    ),
    "scope_of_auditors": Why(
        "a scope is given to somebody who is no auditor", "give it to an auditor, or leave it out"
    ),
    "sign_in_file_malformed": Why(
        "the file of providers breaks a rule at the named member, or names a party twice",
        "write it as docs/sign-in.md has it",
    ),
}
