"""The resources of an account: made once, collected when unreferenced, deleted in the end."""
