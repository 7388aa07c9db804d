"""The ``copl`` command, one file a sub-command. tools/*.py call into it."""
