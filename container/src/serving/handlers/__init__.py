"""Models with their formats: the handler protocol, user programs and what they may rely on."""
