"""Field tables: the checks, their messages and the JSON Schema come from one description."""
