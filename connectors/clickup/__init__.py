"""ClickUp: asked for what its webhooks leave out, told on tasks what became of the work."""
