"""Shared memory between processes: who lends, who reads, and what the two say to one another."""
