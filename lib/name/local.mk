# lib/name: mailbox names, namespaces, wildcards, ACLs.
