"""Publish events and answer callbacks."""
