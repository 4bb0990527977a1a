#include "cunit/imap/sievehost/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/config.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static char dir[64];

static void remove_dir(void)
{
    file_remove_tree(dir);
}

void place_new(const char *lines)
{
    struct buf conf = BUF_INIT;
    char *error = NULL;

    if (dir[0] == '\0') {
        strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/sievehost.XXXXXX" : "/tmp/sievehost.XXXXXX");
        BUG_ON(mkdtemp(dir) == NULL);
        atexit(remove_dir);
    }
    BUG_ON(file_remove_tree(dir) != 0 || mkdir(dir, 0700) != 0);
    buf_printf(&conf,
               "configdirectory: %s/conf\npartition-default: %s/spool\ndb_map_size: 16M\n"
               "sievedir: %s/sieve\nservername: be1\nlog_target: file:%s/log\n%s",
               dir, dir, dir, dir, lines);
    BUG_ON(file_replace(place_path("imapd.conf"), conf.data, conf.len, 0600) != 0);
    BUG_ON(mkdir(place_path("conf"), 0700) != 0);
    BUG_ON(config_read(place_path("imapd.conf"), NULL, "test", &error) != 0);
    buf_free(&conf);
}

const char *place_path(const char *file)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    return path;
}

int place_has(const char *file, const char *text)
{
    struct buf found = BUF_INIT;
    char target[4096];
    ssize_t n = readlink(place_path(file), target, sizeof(target));
    int same;

    if (n >= 0)
        buf_append(&found, target, (size_t)n);
    else if (file_read_all(place_path(file), 1024 * 1024, &found) < 0)
        return text == NULL;
    same = text != NULL && strcmp(buf_cstr(&found), text) == 0;
    buf_free(&found);
    return same;
}
