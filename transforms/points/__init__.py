"""Points tables: models, loader, validation, compiler."""
