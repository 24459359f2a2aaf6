"""Synthetic extracts: a made-up city, from which every declared source derives what its department would deliver."""
