"""Autoscaling of a live fleet: bounds, policies, and saving both while the instance type changes."""
