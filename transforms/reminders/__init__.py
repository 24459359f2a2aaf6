"""Reminder lists: SQL, incremental list."""
