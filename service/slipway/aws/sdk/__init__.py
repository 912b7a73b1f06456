"""The AWS SDK as Slipway uses it: sessions, clients, transport, credentials. The only importer of aioboto3 and botocore."""
