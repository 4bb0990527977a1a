#include "imap/lmtp/engine/transport.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/options.h"

void lmtpd_answer(struct lmtpd_txn *txn, struct lmtpd_rcpt *rcpt, int code, const char *enhanced,
                  const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    rcpt->code = code;
    rcpt->enhanced = enhanced;
    rcpt->text = pool_memdup(txn->pool, buf_cstr(&text), text.len);
    buf_free(&text);
}

void lmtpd_answer_unknown(struct lmtpd_txn *txn, struct lmtpd_rcpt *rcpt)
{
    lmtpd_answer(txn, rcpt, 550, "5.1.1",
                 "Mailbox unknown.  Either there is no mailbox associated with this\n"
                 "name or you do not have authorization to see it.\n"
                 "User unknown");
}

void lmtpd_answer_error(struct lmtpd_txn *txn, struct lmtpd_rcpt *rcpt, int error)
{
    switch (error) {
    case ERR_OVERQUOTA:
        if (opt_switch(OPT_LMTP_OVER_QUOTA_PERM_FAILURE))
            lmtpd_answer(txn, rcpt, 552, "5.2.2", "Over quota");
        else
            lmtpd_answer(txn, rcpt, 452, "4.2.2", "Over quota");
        break;
    case ERR_NOTFOUND:
        lmtpd_answer_unknown(txn, rcpt);
        break;
    case ERR_DENIED:
        lmtpd_answer(txn, rcpt, 550, "5.7.1", "Permission denied");
        break;
    case ERR_DISKFULL:
        lmtpd_answer(txn, rcpt, 452, "4.3.1", "No space left on device");
        break;
    case ERR_BUSY:
    case ERR_TIMEOUT:
        lmtpd_answer(txn, rcpt, 451, "4.2.1", "Mailbox is in use");
        break;
    case ERR_UNAVAILABLE:
        lmtpd_answer(txn, rcpt, 451, "4.4.3", "Remote server unavailable");
        break;
    default:
        lmtpd_answer(txn, rcpt, 451, "4.3.0", "System I/O error");
    }
}
