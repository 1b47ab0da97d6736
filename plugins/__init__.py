"""Provider adapters as WASM plugins."""
