"""The chapters of a contract, a file each: its words in YAML, its data, and what it does.

`words.py` puts their words together, `checking.py` reads them, `pricing.py` and `judging.py` use
what they make.
"""
