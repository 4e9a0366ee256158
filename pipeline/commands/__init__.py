"""One module for each command: its options, help, example and call. Adding a command adds one file here.

`load_test.py` is the command `load-test`; the module's `command` is what the command line runs.
"""
