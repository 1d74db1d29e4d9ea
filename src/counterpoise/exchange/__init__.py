"""A pure model of a perpetual venue and the markets it trades. Never used by live code."""
