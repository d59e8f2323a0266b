"""Signed outgoing webhooks to any HTTP endpoint of the business."""
