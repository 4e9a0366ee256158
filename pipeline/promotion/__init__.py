"""A release from one environment to the next, and back."""
