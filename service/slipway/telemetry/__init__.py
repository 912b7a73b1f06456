"""Tracing with OpenTelemetry, imported only where it is switched on."""
