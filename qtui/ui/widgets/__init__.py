"""Parts of a screen. They draw what they are given and know no Redis."""
