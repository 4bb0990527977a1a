/* fake.h: a MUPDATE master of a hundred names, in memory that forked processes share, behind the functions of
 * lib/mupdate/link.h, which this program defines itself. */
#ifndef CUNIT_IMAP_MBOXOP_FAKE_H
#define CUNIT_IMAP_MBOXOP_FAKE_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/mupdate/link.h"

/* Forgets all names; the master is up. */
void fake_reset(void);
void fake_set_up(bool up);
/* Goes away after that many more requests (negative: never). */
void fake_fail_after(int requests);

struct mupdate_link *fake_link(void);

/* Puts a name as another server's. */
void fake_put(const char *name, enum mupdate_state state, const char *location, const char *acl);
enum mupdate_state fake_state(const char *name);
/* "id type special-use" of the last ACTIVATE; "" when there are none. */
const char *fake_details(const char *name);

/* "name location acl" a line, sorted; reserved names with "(reserved)". */
void fake_dump(struct buf *to);

#endif
