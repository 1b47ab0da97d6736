"""Engines that walk messages through their plans, each behind the same ports."""
