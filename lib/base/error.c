#include "lib/base/error.h"

#include <errno.h>

static const char *const texts[ERROR_INDEX_END] = {
    [ERROR_INDEX_NONE] = "success",
#define ERROR(name, text) [ERROR_INDEX_##name] = text,
#include "lib/base/error.def"
#undef ERROR
};

const char *error_text(int code)
{
    if (code > 0 || code <= -ERROR_INDEX_END)
        return "unknown error";
    return texts[-code];
}

int error_from_errno(int errnum)
{
    switch (errnum) {
    case EAGAIN:
        return ERR_AGAIN;
    case ENOENT:
    case ENOTDIR:
        return ERR_NOTFOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERR_DISKFULL;
    case EROFS:
        return ERR_ROFS;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNREFUSED:
        return ERR_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
        return ERR_UNAVAILABLE;
    case EINVAL:
    case ENAMETOOLONG:
        return ERR_INVALID;
    case EMFILE:
    case ENFILE:
        return ERR_DESCRIPTORS;
    default:
        return ERR_IO;
    }
}
