"""Asana: asked what its webhooks only name, told on tasks what became of the work."""
