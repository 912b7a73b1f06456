"""Calls that an operator's commands make. Never imported by the daemon."""
