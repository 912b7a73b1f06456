"""Explain, audit and diagnose from facts that others gathered."""
