"""What SQS delivers, and what a request carries from one message to the next."""
