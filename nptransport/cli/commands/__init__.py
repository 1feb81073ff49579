"""The commands: each a file of that name whose ``command`` is what click runs."""
