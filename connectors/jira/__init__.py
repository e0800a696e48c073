"""Jira, Cloud and Data Center: asked what an issue is, told what became of the work."""
