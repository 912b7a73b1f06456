"""From a message body to a validated request."""
