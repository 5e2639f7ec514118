"""The process that runs inside every container: it executes code, moves files and keeps the log.

It imports asyncio and msgspec only; whatever else an operation needs is imported when it is asked
for.
"""
