"""Tempo Timesheets as a project tool: see README.md."""
