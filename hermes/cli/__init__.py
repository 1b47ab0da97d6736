"""The command line: run, send, status, tree, simulate, config check."""
