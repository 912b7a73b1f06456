"""The asyncio runtime that takes a message through its life. Its protocols are its own; it never imports the AWS SDK."""
