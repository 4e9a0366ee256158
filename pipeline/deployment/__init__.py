"""The deployment of a release to an endpoint, and the proof that it is live."""
