"""Objections that are not decided yet: open cases, and by when they must be."""
