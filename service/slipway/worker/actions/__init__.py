"""Deploy, update, delete and cancel: ask `decide`, act, observe."""
