"""Distributions over networks: laws of single parameters, relations across stages, spaces, sampling."""
