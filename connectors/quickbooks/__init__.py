"""QuickBooks Online: drafts as estimates or as invoices that are not sent."""
