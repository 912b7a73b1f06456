"""What Bedrock says: deployments, and what a failed call means."""
