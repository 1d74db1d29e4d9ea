"""A venue with modelled accounts in a real venue's markets, as its public streams tell them."""
