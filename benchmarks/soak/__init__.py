"""All faults over all patterns, for as long as is wanted, and a judge of what was written down meanwhile."""
