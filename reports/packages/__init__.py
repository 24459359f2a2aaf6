"""District packages: lists, CSV, XLSX, summary, encryption."""
