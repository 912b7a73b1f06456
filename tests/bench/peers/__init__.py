"""What people write instead: each is a program of its own that is run beside Slipway, against the same service."""
