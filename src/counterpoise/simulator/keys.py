"""The key of a simulator's one account, whatever venue it plays."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The key of the simulator's one account."""

    #: Sent with every signed request.
    api_key: str
    #: Signs; never sent.
    secret: str
    #: Sent beside the key where the venue has one (OKX); the others ignore it.
    passphrase: str
    #: The venue's id of the account.
    account_id: str
