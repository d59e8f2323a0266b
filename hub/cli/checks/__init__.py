"""What `hub check` finds: the environment, the file, the stores, the accounts, one line each.

Every function returns its findings; nothing here prints, changes anything or raises for what is
wrong.
"""
