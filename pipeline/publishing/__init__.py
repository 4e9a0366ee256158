"""The publication of a release: the image, the weights, and one manifest of both."""
