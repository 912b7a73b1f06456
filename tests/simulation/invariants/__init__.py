"""What the monitor checks: one module for each promise."""
