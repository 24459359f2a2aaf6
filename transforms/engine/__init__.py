"""The only package that knows DuckDB: session, statements, Parquet, partitioning, errors."""
