"""Rules that the operator writes: triggers, event patterns, permissions."""
