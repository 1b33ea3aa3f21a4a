"""The clock's machinery: steps that are kept, timers that are derived from them, and what a party is told of these."""
