# lib/imapwire: IMAP lexer, sequence sets, responses; the client side.
