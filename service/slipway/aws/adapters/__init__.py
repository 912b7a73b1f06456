"""Calls that the daemon makes, translated to and from core values."""
