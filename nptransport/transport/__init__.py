"""ZeroMQ sockets: addresses, who is connected and let in, messages part by part, and waiting for all of that."""
