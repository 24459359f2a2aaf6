"""From a raw delivery to sound rows: every value typed once, every refused row kept with its reasons."""
