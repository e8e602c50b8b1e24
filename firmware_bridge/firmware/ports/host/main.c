/* The firmware as a process: its serial line is a pty, its timer CLOCK_MONOTONIC, its motor an
 * entry in a shared file. Prints "PTY <path> BOOT <id>" and runs until stdin closes, so that a
 * dead parent leaves no orphan. `--bench 1` opens a second pty for its pins, see ports/bench. */
#define _GNU_SOURCE /* ppoll */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../../port.h"
#include "../../protocol.h"
#include "../bench/bench.h"
#include "trace.h"

#define TICK_NS 1000000
#define LATE_LIMIT_NS (100 * TICK_NS)
#define TX_SIZE 4096U
#define DEVICE_ID 1U

struct board {
    int line;
    int bench; /* -1: none */
    struct trace_file *trace;
    uint8_t tx[TX_SIZE];
    size_t tx_length;
    int64_t start_ns;
    int64_t tick_ns; /* when the running tick was due */
    int32_t motor_nm;
    double clock_rate;
};

struct options {
    struct af_axis_limits limits;
    int32_t start_nm;
    uint32_t boot_id;
    double clock_ppm;
    const char *trace;
    bool bench;
    bool xy;
};

static struct board board;

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return ((int64_t)now.tv_sec * 1000000000) + now.tv_nsec;
}

/* The firmware's own clock: starts at 1 s and may run fast or slow, as a crystal does. */
static uint64_t firmware_us(int64_t host_ns)
{
    return 1000000U + (uint64_t)((double)(host_ns - board.start_ns) * 1e-3 * board.clock_rate);
}

/* ---- port.h ------------------------------------------------------------------------------ */

void port_send(const uint8_t *bytes, size_t length)
{
    if (length <= (TX_SIZE - board.tx_length)) {
        (void)memcpy(&board.tx[board.tx_length], bytes, length);
        board.tx_length += length;
    }
}

void port_motor(int32_t motor_nm, uint32_t move_id)
{
    if ((motor_nm != board.motor_nm) && (board.trace != NULL)) {
        trace_motor(board.trace, board.tick_ns, motor_nm, move_id);
    }
    board.motor_nm = motor_nm;
    bench_motor(motor_nm);
}

uint32_t port_switches(void)
{
    return bench_switches();
}

void port_xy_motor(uint32_t axis, int32_t motor_nm, uint32_t move_id)
{
    (void)move_id;
    bench_xy_motor(axis, motor_nm);
}

uint32_t port_xy_switches(uint32_t axis)
{
    return bench_xy_switches(axis);
}

void port_trigger(int32_t position_nm, uint32_t within_us, uint32_t width_us)
{
    (void)within_us;
    (void)width_us;
    bench_trigger(position_nm);
}

void bench_port_write(const char *text, size_t length)
{
    (void)!write(board.bench, text, length); /* who does not read gets nothing */
}

bool port_encoder(int32_t *position_nm)
{
    (void)position_nm;
    return false;
}

/* ---- serial line ------------------------------------------------------------------------- */

static void send_queued(void)
{
    while (board.tx_length > 0U) {
        const ssize_t sent = write(board.line, board.tx, board.tx_length);
        if (sent <= 0) {
            return; /* the line is full, poll() tells when it drains */
        }
        board.tx_length -= (size_t)sent;
        (void)memmove(board.tx, &board.tx[sent], board.tx_length);
    }
}

/* Opens a raw pty. Its far side stays open here, so that a client may come and go. */
static const char *open_line(int *line)
{
    struct termios raw;
    *line = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if ((*line < 0) || (grantpt(*line) != 0) || (unlockpt(*line) != 0)) {
        return NULL;
    }
    const char *name = ptsname(*line);
    const int far_side = (name != NULL) ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    if ((far_side < 0) || (tcgetattr(far_side, &raw) != 0)) {
        return NULL;
    }
    cfmakeraw(&raw);
    return (tcsetattr(far_side, TCSANOW, &raw) == 0) ? name : NULL;
}

/* ---- time -------------------------------------------------------------------------------- */

/* Runs every tick that is due, each under its nominal time: a late process writes the same
 * trajectory as a punctual one. After a stall of 100 ms time stands still instead. */
static void run_ticks(struct af_protocol *protocol)
{
    const int64_t now = now_ns();
    if ((now - board.tick_ns) > LATE_LIMIT_NS) {
        board.tick_ns = now - TICK_NS;
    }
    while ((board.tick_ns + TICK_NS) <= now) {
        board.tick_ns += TICK_NS;
        af_protocol_tick(protocol, firmware_us(board.tick_ns));
        if (board.trace != NULL) {
            trace_heartbeat(board.trace, board.tick_ns, board.motor_nm, protocol->moves_started);
        }
    }
}

static bool receive(struct af_protocol *protocol)
{
    uint8_t bytes[512];
    const ssize_t got = read(board.line, bytes, sizeof bytes);
    if (got > 0) {
        af_protocol_receive(protocol, bytes, (size_t)got, firmware_us(now_ns()));
        return true;
    }
    return false;
}

static void receive_bench(struct af_protocol *protocol)
{
    uint8_t bytes[64];
    const ssize_t got = (board.bench < 0) ? 0 : read(board.bench, bytes, sizeof bytes);
    for (ssize_t i = 0; i < got; i++) {
        bench_byte(protocol, bytes[i], firmware_us(now_ns()));
    }
}

static bool parent_alive(const struct pollfd *parent)
{
    uint8_t junk[64];
    if (parent->revents == 0) {
        return true;
    }
    return ((parent->revents & POLLIN) != 0) && (read(STDIN_FILENO, junk, sizeof junk) > 0);
}

static void run(struct af_protocol *protocol)
{
    /* poll() passes over a negative descriptor: no bench, no event */
    struct pollfd watched[3] = {
        {STDIN_FILENO, POLLIN, 0}, {board.line, POLLIN, 0}, {board.bench, POLLIN, 0}};
    do {
        /* Bytes first: after a late wake-up they are what keeps the watchdog quiet. */
        while (receive(protocol)) {
        }
        run_ticks(protocol);
        receive_bench(protocol);
        send_queued();
        watched[1].events = (board.tx_length > 0U) ? (POLLIN | POLLOUT) : POLLIN;
        const int64_t left = board.tick_ns + TICK_NS - now_ns();
        const struct timespec wait = {0, (left > 0) ? (long)left : 0L};
        if ((ppoll(watched, 3, &wait, NULL) < 0) && (errno != EINTR)) {
            return;
        }
    } while (parent_alive(&watched[0]));
}

/* ---- options ----------------------------------------------------------------------------- */

static long number(const char *name, const char *text, long low, long high)
{
    char *end = NULL;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if ((errno != 0) || (end == text) || (*end != '\0') || (value < low) || (value > high)) {
        (void)fprintf(stderr, "%s %s: must be %ld..%ld\n", name, text, low, high);
        exit(2);
    }
    return value;
}

static void set_option(struct options *o, const char *name, const char *value)
{
    const long nm_max = 1000000000L;
    if (strcmp(name, "--z-min-nm") == 0) {
        o->limits.hard_min_nm = (int32_t)number(name, value, -nm_max, nm_max);
    } else if (strcmp(name, "--z-max-nm") == 0) {
        o->limits.hard_max_nm = (int32_t)number(name, value, -nm_max, nm_max);
    } else if (strcmp(name, "--start-nm") == 0) {
        o->start_nm = (int32_t)number(name, value, -nm_max, nm_max);
    } else if (strcmp(name, "--speed-um-s") == 0) {
        o->limits.speed_nm_s = (int32_t)number(name, value, 1, 100000L) * 1000;
    } else if (strcmp(name, "--accel-um-s2") == 0) {
        o->limits.accel_nm_s2 = (int32_t)number(name, value, 1, 2000000L) * 1000;
    } else if (strcmp(name, "--nm-per-step") == 0) {
        o->limits.nm_per_step = (int32_t)number(name, value, 1, 65535L);
    } else if (strcmp(name, "--boot-id") == 0) {
        o->boot_id = (uint32_t)number(name, value, 0, 0xFFFFFFFFL);
    } else if (strcmp(name, "--clock-ppm") == 0) {
        o->clock_ppm = (double)number(name, value, -1000L, 1000L);
    } else if (strcmp(name, "--bench") == 0) {
        o->bench = number(name, value, 0, 1) != 0;
    } else if (strcmp(name, "--xy") == 0) {
        o->xy = number(name, value, 0, 1) != 0;
    } else if (strcmp(name, "--trace") == 0) {
        o->trace = value;
    } else {
        (void)fprintf(stderr, "unknown option %s\n", name);
        exit(2);
    }
}

static void read_options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        if ((i + 1) == argc) {
            (void)fprintf(stderr, "%s needs a value\n", argv[i]);
            exit(2);
        }
        set_option(o, argv[i], argv[i + 1]);
    }
    if ((o->start_nm < o->limits.hard_min_nm) || (o->start_nm > o->limits.hard_max_nm)) {
        (void)fprintf(stderr, "--start-nm is outside --z-min-nm..--z-max-nm\n");
        exit(2);
    }
}

/* A slide stage of 75 x 25 mm, 20 mm/s, 200 mm/s2, that stands at (10, 10) mm. */
static void start_xy(struct af_protocol *protocol)
{
    static const struct af_axis_limits limits[AF_XY_AXES] = {
        {0, 75000000, 100, 20000000, 200000000}, {0, 25000000, 100, 20000000, 200000000}};
    static const int32_t start_nm[AF_XY_AXES] = {10000000, 10000000};
    af_xy_init(protocol, limits, start_nm);
    bench_xy_motor(AF_X, start_nm[AF_X]);
    bench_xy_motor(AF_Y, start_nm[AF_Y]);
}

int main(int argc, char **argv)
{
    static struct af_protocol protocol;
    struct options o = {
        .limits = {0, 10000000, 50, 2000000, 20000000},
        .boot_id = (uint32_t)now_ns() ^ ((uint32_t)getpid() << 16),
    };
    read_options(&o, argc, argv);
    board.start_ns = now_ns();
    board.tick_ns = board.start_ns;
    board.clock_rate = 1.0 + (o.clock_ppm * 1e-6);
    af_protocol_init(&protocol, &o.limits, o.start_nm, o.boot_id, DEVICE_ID);
    board.motor_nm = af_motion_position_nm(&protocol.motion);
    bench_motor(board.motor_nm);
    if (o.xy) {
        start_xy(&protocol);
    }
    if (o.trace != NULL) {
        board.trace = trace_open(o.trace);
        if (board.trace == NULL) {
            perror(o.trace);
            return 1;
        }
        trace_motor(board.trace, board.start_ns, board.motor_nm, 0U);
        trace_heartbeat(board.trace, board.start_ns, board.motor_nm, 0U);
    }
    const char *name = open_line(&board.line);
    if (name == NULL) {
        perror("pty");
        return 1;
    }
    (void)printf("PTY %s BOOT %lu", name, (unsigned long)o.boot_id);
    board.bench = -1;
    if (o.bench) {
        name = open_line(&board.bench);
        if (name == NULL) {
            perror("pty");
            return 1;
        }
        (void)printf(" BENCH %s", name);
    }
    (void)printf("\n");
    (void)fflush(stdout);
    run(&protocol);
    return 0;
}
