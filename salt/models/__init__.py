"""Networks. The rest of the program knows them by `salt.models.protocol` only."""
