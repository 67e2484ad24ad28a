"""Samples: codec, rates, files, and what the caller hears now."""
