"""Any HTTP endpoint of the business: signed webhooks out."""
