# lib/mail: RFC 5322 and MIME parsing.
