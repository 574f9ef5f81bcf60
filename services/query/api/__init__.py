"""Thin routers over the query layer: parameters in, shapes out."""
