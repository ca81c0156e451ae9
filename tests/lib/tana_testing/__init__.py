"""Shared Python for the tests: an independent oracle of tana's formats, and a harness that runs the real daemons."""
