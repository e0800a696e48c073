"""Plain-text accounting as a billing system; `README.md` beside this file says how to use it."""
