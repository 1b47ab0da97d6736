"""Mail without I/O: addresses, messages, SMTP on both sides, replies and delivery reports."""
