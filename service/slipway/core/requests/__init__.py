"""What a request may ask for, field by field."""
