"""Receive messages, extend their leases, settle them."""
