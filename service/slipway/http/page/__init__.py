"""The status page of one daemon, as self-contained HTML."""
