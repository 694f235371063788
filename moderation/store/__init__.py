"""Redis: the keys, the scripts, one module per noun. Nothing else knows Redis."""
