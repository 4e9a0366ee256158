"""The verification of a live endpoint: measure it, judge it gate by gate, keep the evidence."""
