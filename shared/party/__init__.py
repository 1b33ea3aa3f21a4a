"""Common code of all services of parties: submissions of origins, inboxes of recipients. It builds on the runtime."""
