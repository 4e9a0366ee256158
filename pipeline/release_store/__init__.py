"""Published releases: manifests, archives and golden sets."""
