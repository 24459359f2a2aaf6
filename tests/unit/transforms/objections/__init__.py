"""Open cases."""
