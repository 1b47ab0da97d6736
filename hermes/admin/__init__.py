"""The admin API on its unix socket, and metrics on a loopback port."""
