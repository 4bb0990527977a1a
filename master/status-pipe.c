#include "master/status-pipe.h"

int32_t status_load(unsigned sessions, bool full)
{
    unsigned n = sessions > STATUS_LOAD_SESSIONS ? STATUS_LOAD_SESSIONS : sessions;

    return (int32_t)(STATUS_LOAD | (full ? STATUS_LOAD_FULL : 0u) | n);
}

bool status_is_load(int32_t message, unsigned *sessions_r, bool *full_r)
{
    uint32_t m = (uint32_t)message;

    if ((m & 0xff000000u) != STATUS_LOAD)
        return false;
    *sessions_r = m & STATUS_LOAD_SESSIONS;
    *full_r = (m & STATUS_LOAD_FULL) != 0;
    return true;
}
