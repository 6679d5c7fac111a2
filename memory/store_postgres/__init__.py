"""This package is the memory store in PostgreSQL, which several processes can share."""
