"""Reading: the HTTP API and the pages, both on one query layer."""
