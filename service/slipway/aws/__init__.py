"""The adapters to AWS: the only importers of aioboto3, aiobotocore and botocore."""
