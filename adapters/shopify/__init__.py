"""Shopify: orders and customers of a shop."""
