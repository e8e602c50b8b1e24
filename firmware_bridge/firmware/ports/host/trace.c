#define _POSIX_C_SOURCE 200809L

#include "trace.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct trace_file *trace_open(const char *path)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return NULL;
    }
    void *map = MAP_FAILED;
    if (ftruncate(fd, (off_t)sizeof(struct trace_file)) == 0) {
        map = mmap(NULL, sizeof(struct trace_file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    (void)close(fd);
    if (map == MAP_FAILED) {
        return NULL;
    }
    struct trace_file *trace = map;
    trace->version = 1U;
    trace->capacity = AF_TRACE_CAPACITY;
    trace->entry_size = (uint32_t)sizeof(struct trace_entry);
    (void)memcpy(trace->magic, "SFTR", 4);
    return trace;
}

void trace_motor(struct trace_file *trace, int64_t time_ns, int32_t motor_nm, uint32_t move_id)
{
    struct trace_entry *entry = &trace->entries[trace->write_count % AF_TRACE_CAPACITY];
    entry->time_ns = time_ns;
    entry->motor_nm = motor_nm;
    entry->move_id = move_id;
    __atomic_store_n(&trace->write_count, trace->write_count + 1U, __ATOMIC_RELEASE);
}

void trace_heartbeat(struct trace_file *trace, int64_t time_ns, int32_t motor_nm,
                     uint32_t moves_started)
{
    __atomic_store_n(&trace->update, trace->update + 1U, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    trace->heartbeat_ns = time_ns;
    trace->motor_nm = motor_nm;
    trace->moves_started = moves_started;
    __atomic_store_n(&trace->update, trace->update + 1U, __ATOMIC_RELEASE);
}
