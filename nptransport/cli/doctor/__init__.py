"""What a host can do for this library, looked at."""
