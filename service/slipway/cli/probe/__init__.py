"""`slipway probe`: asks a real account what AWS documents nowhere."""
