"""What measures a live endpoint, judges it gate by gate, and keeps the evidence."""
