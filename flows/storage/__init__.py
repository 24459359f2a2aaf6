"""Everything a root holds, and how files are written."""
