"""Slipway: deployment requests from SQS, made true in Amazon Bedrock, answered through SNS."""

__version__ = "0.1.0"
