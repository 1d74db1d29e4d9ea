"""Bad days by the thousand: scripted markets, the live rules, and what became of the account."""
