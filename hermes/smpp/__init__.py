"""SMPP 3.4 without I/O: codec, coding, receipts, windows and pacing as pure values."""
