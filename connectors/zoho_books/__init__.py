"""Zoho Books as a billing system; `README.md` beside this file says how far it is proven."""
