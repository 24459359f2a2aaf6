"""Points tables: how they are declared, checked, read and compiled to one SQL statement."""
