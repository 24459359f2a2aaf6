"""Synthetic extracts, derived by every declared source from one model of a city."""
