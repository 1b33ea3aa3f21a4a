"""The sample directory: its parties, and the approval of a document."""
