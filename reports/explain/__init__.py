"""One resident's points, explained."""
