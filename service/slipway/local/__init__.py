"""The local AWS stand-in: a Bedrock with custom model deployments, SQS, SNS and STS on one machine; and the demo."""
