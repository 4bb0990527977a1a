"""What a client of a frontend sees otherwise than a client of a server alone, and why: the whole list.

Tests that run over both ask here before they expect something else; what is not listed must be the same."""

REASONS = {
    "APPENDLIMIT=n": "each backend may have a limit of its own: a frontend says APPENDLIMIT, and STATUS tells (RFC 7889 2)",
    "SETMETADATA of the server": "a frontend keeps no annotations, and a server's are those of one backend",
    "ManageSieve UNAUTHENTICATE": "behind the login a frontend's connection is the user's backend's, byte by byte",
}


def has(what, is_frontend):
    """Does a server alone, or a frontend, have that?"""
    assert what in REASONS
    return not is_frontend
