"""Plane: polled for missed work items, told by a comment what became of them."""
