"""Requests and answers: gunicorn worker, Flask application, batch server, metrics and request log."""
