"""A world on one event loop: SQS, SNS and Bedrock that really work, in virtual time, with faults on purpose."""
