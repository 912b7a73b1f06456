"""The coroutine of each request, from its message to its settlement."""
