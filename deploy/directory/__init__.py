"""The sample directory: its parties, and how a document is approved."""
