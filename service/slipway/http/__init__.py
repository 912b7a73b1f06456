"""HTTP endpoints of the daemon: health, metrics, the requests API and the status page."""
