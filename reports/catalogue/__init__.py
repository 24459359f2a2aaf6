"""The analysts' catalogue and data dictionary."""
