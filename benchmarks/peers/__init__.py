"""The same work for nptransport and for what one would take instead: see __main__.py."""
