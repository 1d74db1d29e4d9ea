"""Decides what to hold: core target, hedge choice and sizes, with reasons. Pure."""
