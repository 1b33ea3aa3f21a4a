"""The console of audit."""
