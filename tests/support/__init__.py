"""Helpers of several tests: inputs, generated documents, requests."""
