"""Who goes next, and how fast: the fair queue for creation slots, quotas, rates, estimates."""
