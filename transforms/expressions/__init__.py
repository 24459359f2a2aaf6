"""The closed expression language that facts, points and services share."""
