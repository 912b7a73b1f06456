"""AWS in a box: a Bedrock that knows custom model deployments, and SQS and SNS beside it, on one machine."""
