"""From an outcome to the published event, and back."""
