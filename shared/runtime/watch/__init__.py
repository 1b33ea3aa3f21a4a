"""The watching room: logs, metrics, traces, health. Knows no subject."""
