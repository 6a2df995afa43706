"""Networks that imitate plugins."""
