"""What must be true before a deployment begins."""
