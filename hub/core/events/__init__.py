"""What is done with events once they are stored, off the request's path.

They are folded into contacts, completed, copied, read or matched once more; and what no webhook
brought is looked for.
"""
