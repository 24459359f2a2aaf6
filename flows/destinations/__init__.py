"""Destinations: where recipients get what is theirs of a published month, the mirror of origins."""
