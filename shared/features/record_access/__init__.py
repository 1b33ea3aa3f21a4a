"""The opening of records, which is reported to audit."""
