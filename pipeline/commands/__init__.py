"""The command line: which step runs, under which lock, and what is told, recorded and shown of it."""
