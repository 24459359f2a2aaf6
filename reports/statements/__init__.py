"""What every resident sees: one row per person, the words for it, and pages made of both."""
