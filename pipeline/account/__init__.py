"""What an account has for all releases: made once, collected when nothing needs it, removed in the end."""
