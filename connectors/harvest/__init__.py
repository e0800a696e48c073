"""Harvest as a project tool: see README.md."""
