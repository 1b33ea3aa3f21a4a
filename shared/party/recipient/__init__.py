"""Common parts of all recipients: subjects received from other parties, read and answered."""
