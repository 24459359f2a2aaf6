"""A month against another, or against a draft: changes, drift, metrics, simulation."""
