"""The database room: transactions bound to parties, isolation, migrations, content at rest."""
