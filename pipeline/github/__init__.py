"""A GitHub repository's settings: read by its API, and judged by the rules that keep a release safe."""
