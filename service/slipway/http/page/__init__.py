"""The status page: what one daemon does, for people, as HTML that needs nothing but itself."""
