"""One row per resident: measures, month bitmaps, corrections, pseudonyms."""
