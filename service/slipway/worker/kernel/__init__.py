"""What every part of the worker uses: interruptible waits, leases, batches, counters."""
