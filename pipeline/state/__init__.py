"""The files that runs leave in the release bucket and the build folder: locks, records, audit lines."""
