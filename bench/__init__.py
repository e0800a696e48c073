"""What `make bench` runs: the speeds that the design promises, as ratios within one run.

Nothing of the product calls this. `docs/bench.md` says what is measured and how.
"""
