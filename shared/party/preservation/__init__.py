"""Preservations: what an agency asks a provider to keep, at both of them. Nobody else is told."""
