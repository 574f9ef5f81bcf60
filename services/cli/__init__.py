"""The `spendstream` command: the only package that knows several services."""
