"""Files in a folder as a billing system; `README.md` beside this file says how to use it."""
