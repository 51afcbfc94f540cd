"""One file on its way from the Hub to the disk: in pieces, verified, resumed."""
