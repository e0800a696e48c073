"""QuickBooks Online as a source."""
