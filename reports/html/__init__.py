"""Page shell and charts."""
