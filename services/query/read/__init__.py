"""The one query layer: a question about spend becomes SQL on the cheapest rollup that answers it exactly."""
