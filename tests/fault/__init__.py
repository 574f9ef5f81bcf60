"""Everything that may break, broken: `make fault`. Those marked `in_test_run` are part of `make test` too."""
