"""The decisions: one pure function for each action, from what is known to the next step."""
