"""Performs actions: journal, submit, track, resolve, reconcile."""
