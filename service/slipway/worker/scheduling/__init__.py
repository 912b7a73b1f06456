"""What requests share: creation slots, order, the sweep, expiry."""
