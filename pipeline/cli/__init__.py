"""The parts that all commands share: options, running a step, log output, GitHub's pages, completion."""
