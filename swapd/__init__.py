"""Runs AI model servers and hot-swaps them behind one address."""
