"""What each endpoint does, apart from how it waits."""
