"""Measurements side by side with peers; docs/performance.md has the figures and their commands."""
