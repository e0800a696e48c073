"""Shortcut: polled for missed stories and epics, asked for their projects, told by a comment."""
