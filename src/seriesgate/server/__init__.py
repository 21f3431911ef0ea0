"""The second program: HTTP API and database. Knows the report, and nothing of the gateway."""
