"""A real broker and a real database from packages, for `spendstream up` and for the tests."""
