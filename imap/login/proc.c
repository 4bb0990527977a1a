#include "imap/login/proc.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

struct proc_table {
    char *path;
    int fd; /* -1: the directory cannot be written, nothing is shown */
    pthread_mutex_t lock;
    uint32_t *free; /* a stack of records given back */
    size_t free_count, free_room;
    uint32_t made;
};

struct proc_table *proc_open(const char *dir, const char *service)
{
    struct proc_table *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    file_make_dirs(dir, 0700, 0);
    t->path = xstrprintf("%s/%d-%s", dir, (int)getpid(), service);
    /* One that a killed process of the same number left is begun anew. */
    t->fd = open(t->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return t;
}

void proc_close(struct proc_table **table)
{
    struct proc_table *t = *table;

    if (t == NULL)
        return;
    if (t->fd >= 0) {
        unlink(t->path);
        close(t->fd);
    }
    pthread_mutex_destroy(&t->lock);
    free(t->free);
    free(t->path);
    free(t);
    *table = NULL;
}

static void write_record(struct proc_table *t, uint32_t record, const char data[PROC_RECORD])
{
    if (t->fd >= 0)
        (void)file_pwrite(t->fd, data, PROC_RECORD, (int64_t)record * PROC_RECORD);
}

uint32_t proc_take(struct proc_table *table)
{
    uint32_t record;

    pthread_mutex_lock(&table->lock);
    record = table->free_count > 0 ? table->free[--table->free_count] : table->made++;
    pthread_mutex_unlock(&table->lock);
    return record;
}

void proc_give_back(struct proc_table *table, uint32_t record)
{
    static const char empty[PROC_RECORD];

    write_record(table, record, empty);
    pthread_mutex_lock(&table->lock);
    if (table->free_count == table->free_room) {
        table->free_room = table->free_room == 0 ? 64 : table->free_room * 2;
        table->free = xreallocarray(table->free, table->free_room, sizeof(*table->free));
    }
    table->free[table->free_count++] = record;
    pthread_mutex_unlock(&table->lock);
}

void proc_show(struct proc_table *table, uint32_t record, const char *line, size_t len)
{
    char data[PROC_RECORD] = "";

    if (len > PROC_RECORD)
        len = PROC_RECORD;
    memcpy(data, line, len);
    if (len == PROC_RECORD)
        data[PROC_RECORD - 1] = '\n';
    write_record(table, record, data);
}
