"""NATS, Valkey, PostgreSQL and Restate as child processes of the daemon: all but supervision."""
