"""A mail relay that delivers to nobody: it keeps what comes and behaves as recipients ask."""
