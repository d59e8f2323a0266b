"""Salesforce, the CRM: records and tasks."""
