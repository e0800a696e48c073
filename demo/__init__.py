"""`make demo`: plays a month of a small agency through a real Billhook, and checks every cent.

- `agency.py`: the agency as plain data: people, issues, what each customer agreed to pay
- `bodies.py`: what Jira, GitHub and a script would post, in their own formats
- `world.py`: the month: `month(today)` gives its postings, and `truth.py` what must come of them
- `furniture.py`: what stands in Jira and GitHub before the month begins
- `rules/`: the same agreements as an admin writes them, for March 2026; the demo moves the month
- `processes.py`, `site.py`: the real processes, and how the demo reaches them
- `acts.py`: the acts of the play, in order; `tables.py` prints, `checks.py` compares
"""
