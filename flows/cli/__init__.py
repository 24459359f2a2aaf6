"""The `jifen` command: options in, one command called, errors and exit codes out."""
