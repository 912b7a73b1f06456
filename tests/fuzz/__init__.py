"""Malformed input: a coverage-guided fuzzer."""
