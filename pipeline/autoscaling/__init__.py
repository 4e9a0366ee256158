"""What scales a live fleet: bounds, policies, and setting both aside while the instance type changes."""
