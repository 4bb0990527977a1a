/* place.h: a directory with an imapd.conf for tests of scripts. */
#ifndef CUNIT_IMAP_SIEVEHOST_PLACE_H
#define CUNIT_IMAP_SIEVEHOST_PLACE_H

/* Reads an imapd.conf with those lines more; the directory is emptied. */
void place_new(const char *lines);

/* A path in it, static storage. */
const char *place_path(const char *file);

/* Does the file's text (its target, of a link) read so?  NULL: is it not there? */
int place_has(const char *file, const char *text);

#endif
