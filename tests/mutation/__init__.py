"""Seeded bugs: what shows that the tests can see."""
