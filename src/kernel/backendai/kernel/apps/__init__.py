"""The apps that every kernel brings, each a process beside the runner: a web terminal, an SSH
server and a file browser. They listen on a Unix socket that the runner hands them.
"""
