"""E-invoices in a folder; `README.md` beside this file says how to use it."""
