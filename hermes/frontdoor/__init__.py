"""The front door: thin aiohttp processes that validate, commit and answer 202."""
