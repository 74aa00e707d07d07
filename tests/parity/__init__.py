"""Imported models beside the libraries they come from: `make parity`, in an environment that has these."""
