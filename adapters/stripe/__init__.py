"""Stripe: payments, invoices, checkouts, subscriptions, customers."""
