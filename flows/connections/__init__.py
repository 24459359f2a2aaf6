"""Other machines, whoever asks them: logins, file systems, databases, and no waiting for ever.

Origins of extracts (`flows.extract`) read there, destinations (`flows.destinations`) write there.
"""
