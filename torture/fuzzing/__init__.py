"""Spoiled deliveries, correctly signed: what `torture.fuzz` posts, and to which firm."""
