"""The city at a glance: all published months on one page, from `metrics` alone."""
