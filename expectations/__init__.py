"""WHAT we accept: source models, reference tables, the gate, findings."""
