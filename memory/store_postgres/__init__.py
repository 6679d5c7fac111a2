"""Memory in a PostgreSQL that several processes share."""
