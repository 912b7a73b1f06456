"""The faces of Slipway: command line, health, metrics."""
