"""One run of one month: context, ordered stages, result."""
