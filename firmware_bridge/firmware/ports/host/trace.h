/* The motor's trajectory in a shared file, for whoever simulates the mechanics behind it.
 *
 * Layout, little-endian machine order, read by trace.py:
 *    0  char[4]  "SFTR"
 *    4  u32      version = 1
 *    8  u32      capacity of the ring, in entries
 *   12  u32      entry size = 16
 *   16  u64      write_count: entries written since the start; entry n lies in slot n % capacity
 *   24  i64      heartbeat_ns: CLOCK_MONOTONIC up to which the trajectory is complete
 *   32  i32      motor_nm at heartbeat_ns
 *   36  u32      moves started since the start
 *   40  u64      update: odd while the fields from 24 on change
 *   64  entries { i64 time_ns, i32 motor_nm, u32 move_id }, one per change of motor_nm
 * The motor holds motor_nm of an entry from its time_ns until the next entry's. */
#ifndef AF_HOST_TRACE_H
#define AF_HOST_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#define AF_TRACE_CAPACITY 65536U

struct trace_entry {
    int64_t time_ns;
    int32_t motor_nm;
    uint32_t move_id;
};

struct trace_file {
    char magic[4];
    uint32_t version;
    uint32_t capacity;
    uint32_t entry_size;
    uint64_t write_count;
    int64_t heartbeat_ns;
    int32_t motor_nm;
    uint32_t moves_started;
    uint64_t update;
    uint64_t reserved[2];
    struct trace_entry entries[AF_TRACE_CAPACITY];
};

/* Creates and maps the file; NULL with errno when that fails. */
struct trace_file *trace_open(const char *path);

/* The motor takes this position at time_ns. */
void trace_motor(struct trace_file *trace, int64_t time_ns, int32_t motor_nm, uint32_t move_id);

/* Everything up to time_ns has been written. */
void trace_heartbeat(struct trace_file *trace, int64_t time_ns, int32_t motor_nm,
                     uint32_t moves_started);

#endif
