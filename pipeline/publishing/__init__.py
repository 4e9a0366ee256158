"""What makes a release of what is here: the image, the weights, and one manifest of both."""
