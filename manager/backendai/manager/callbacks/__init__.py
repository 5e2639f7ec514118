"""Telling the addresses that sessions were asked for with how these sessions fare."""
