"""An SMSC that behaves, and misbehaves on request: SMPP 3.4, controlled over HTTP."""
