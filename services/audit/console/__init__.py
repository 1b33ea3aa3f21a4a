"""The web door of audit."""
