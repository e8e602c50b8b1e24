/* A V4L2 capture device on a regular file, behind one function that stands in for ioctl().
 *
 * Compiled with the kernel's own header, so that request numbers and structure layouts are not
 * the driver's word against itself. Frames fall due by the monotonic clock and need a queued
 * buffer, or their sequence number is lost, as in the kernel. Mapping the buffers is real: they
 * lie in the file. Called under Python's lock, so it needs none of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/videodev2.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MOST 8
enum { RED = 200, GREEN = 120, BLUE = 40, GREY = 77 };

static struct {
    int64_t period_ns, due_ns, began_ns;
    uint32_t sequence, broken, unplugged, stamp_start, padding, no_exposure;
    struct v4l2_pix_format pix;
    uint32_t count, exposure;
    uint8_t *memory;
    size_t length;
    struct { int queued, done; uint32_t sequence, flags, used; int64_t time_ns; } buffer[MOST];
    int order[MOST], waiting, streaming;
} dev;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void fake_reset(int period_ms, int stamp_start, int padding, int no_exposure)
{
    if (dev.memory)
        munmap(dev.memory, dev.length);
    memset(&dev, 0, sizeof dev);
    dev.period_ns = period_ms * INT64_C(1000000);
    dev.stamp_start = stamp_start, dev.padding = padding, dev.no_exposure = no_exposure;
    dev.pix.width = 640, dev.pix.height = 480, dev.pix.pixelformat = V4L2_PIX_FMT_YUYV;
}

/* the next `frames` frames come with a part missing */
void fake_break(unsigned frames) { dev.broken = frames; }

void fake_unplug(int unplugged) { dev.unplugged = unplugged; }

void fake_pause(void) { dev.due_ns = INT64_MAX; }

/* the exposure of frame n ends n + 1 periods later */
int64_t fake_began_ns(void) { return dev.began_ns; }

int fake_exposure(void) { return (int)dev.exposure; }

static void fill(uint8_t *at, uint32_t sequence)
{
    static const uint32_t bayer[] = { V4L2_PIX_FMT_SRGGB8, V4L2_PIX_FMT_SGRBG8,
                                      V4L2_PIX_FMT_SGBRG8, V4L2_PIX_FMT_SBGGR8 };
    static const uint8_t mosaic[4][4] = { { RED, GREEN, GREEN, BLUE }, { GREEN, RED, BLUE, GREEN },
                                          { GREEN, BLUE, RED, GREEN }, { BLUE, GREEN, GREEN, RED } };
    uint32_t format = dev.pix.pixelformat, x, y, phase = 0;
    while (phase < 4 && bayer[phase] != format)
        phase++;
    for (y = 0; y < dev.pix.height; y++) {
        uint8_t *row = at + (size_t)y * dev.pix.bytesperline;
        memset(row, 0xee, dev.pix.bytesperline); /* the padding shows if it is taken for pixels */
        for (x = 0; x < dev.pix.width; x++) {
            if (format == V4L2_PIX_FMT_RGB24)
                row[3 * x] = RED, row[3 * x + 1] = GREEN, row[3 * x + 2] = BLUE;
            else if (format == V4L2_PIX_FMT_BGR24)
                row[3 * x] = BLUE, row[3 * x + 1] = GREEN, row[3 * x + 2] = RED;
            else
                row[x] = phase < 4 ? mosaic[phase][(y & 1) * 2 + (x & 1)] : GREY;
        }
    }
    at[0] = (uint8_t)sequence;
}

static void expose(void)
{
    while (dev.streaming && dev.due_ns <= now_ns()) {
        int i, found = -1;
        for (i = 0; i < (int)dev.count && found < 0; i++)
            if (dev.buffer[i].queued && !dev.buffer[i].done)
                found = i;
        if (found >= 0) {
            uint32_t all = dev.pix.sizeimage;
            fill(dev.memory + found * (dev.length / dev.count), dev.sequence);
            dev.buffer[found].done = 1;
            dev.buffer[found].sequence = dev.sequence;
            /* a frame is there when its exposure is over; the stamp marks one end or the other */
            dev.buffer[found].time_ns = dev.due_ns;
            if (dev.stamp_start)
                dev.buffer[found].time_ns -= dev.exposure * INT64_C(100000);
            /* one kind of damage and the other in turn */
            dev.buffer[found].flags = dev.broken & 1 ? V4L2_BUF_FLAG_ERROR : 0;
            dev.buffer[found].used = dev.broken && !(dev.broken & 1) ? all / 2 : all;
            dev.broken -= dev.broken > 0;
            dev.order[dev.waiting++] = found;
        }
        dev.sequence++;
        dev.due_ns += dev.period_ns;
    }
}

static int set_format(struct v4l2_format *f)
{
    static const uint32_t known[] = { V4L2_PIX_FMT_GREY, V4L2_PIX_FMT_RGB24, V4L2_PIX_FMT_BGR24,
        V4L2_PIX_FMT_SRGGB8, V4L2_PIX_FMT_SGRBG8, V4L2_PIX_FMT_SGBRG8, V4L2_PIX_FMT_SBGGR8 };
    struct v4l2_pix_format *p = &f->fmt.pix;
    uint32_t i, bytes;
    for (i = 0; i < sizeof known / sizeof *known && known[i] != p->pixelformat; i++)
        ;
    if (i == sizeof known / sizeof *known)
        p->pixelformat = V4L2_PIX_FMT_YUYV;
    bytes = p->pixelformat == V4L2_PIX_FMT_RGB24 || p->pixelformat == V4L2_PIX_FMT_BGR24 ? 3 : 1;
    p->width = p->width > 4096 ? 4096 : p->width;
    p->bytesperline = p->width * bytes + dev.padding;
    p->sizeimage = p->bytesperline * p->height;
    dev.pix = *p;
    return 0;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

static int dequeue(struct v4l2_buffer *b)
{
    int i, first;
    if (!dev.waiting)
        return fail(EAGAIN);
    first = dev.order[0];
    memmove(dev.order, dev.order + 1, sizeof *dev.order * --dev.waiting);
    i = first;
    dev.buffer[i].queued = dev.buffer[i].done = 0;
    b->index = i;
    b->bytesused = dev.buffer[i].used;
    b->sequence = dev.buffer[i].sequence;
    b->flags = dev.buffer[i].flags | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    b->flags |= dev.stamp_start ? V4L2_BUF_FLAG_TSTAMP_SRC_SOE : V4L2_BUF_FLAG_TSTAMP_SRC_EOF;
    b->timestamp.tv_sec = dev.buffer[i].time_ns / 1000000000;
    b->timestamp.tv_usec = dev.buffer[i].time_ns % 1000000000 / 1000;
    return 0;
}

int fake_ioctl(int fd, unsigned long request, void *argument)
{
    if (dev.unplugged)
        return fail(ENODEV);
    expose();
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *c = argument;
        memset(c, 0, sizeof *c);
        strcpy((char *)c->driver, "fake"), strcpy((char *)c->card, "Fake camera");
        c->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        c->capabilities = c->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_G_FMT:
        ((struct v4l2_format *)argument)->fmt.pix = dev.pix;
        return 0;
    case VIDIOC_S_FMT:
        return set_format(argument);
    case VIDIOC_S_PARM: {
        struct v4l2_captureparm *p = &((struct v4l2_streamparm *)argument)->parm.capture;
        p->capability = V4L2_CAP_TIMEPERFRAME;
        p->timeperframe.numerator = dev.period_ns / 1000000, p->timeperframe.denominator = 1000;
        return 0;
    }
    case VIDIOC_S_CTRL: {
        struct v4l2_control *c = argument;
        if (dev.no_exposure || c->id != V4L2_CID_EXPOSURE_ABSOLUTE)
            return fail(EINVAL);
        dev.exposure = c->value;
        return 0;
    }
    case VIDIOC_G_CTRL:
        ((struct v4l2_control *)argument)->value = dev.exposure;
        return 0;
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *r = argument;
        size_t page = (dev.pix.sizeimage + 4095) / 4096 * 4096;
        dev.count = r->count = r->count < MOST ? r->count : MOST;
        dev.length = page * dev.count;
        if (ftruncate(fd, dev.length))
            return -1;
        dev.memory = mmap(NULL, dev.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return dev.memory == MAP_FAILED ? -1 : 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *b = argument;
        b->length = dev.length / dev.count;
        b->m.offset = b->index * b->length;
        return 0;
    }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *b = argument;
        if (b->index >= dev.count || dev.buffer[b->index].queued)
            return fail(EINVAL);
        dev.buffer[b->index].queued = 1;
        return 0;
    }
    case VIDIOC_DQBUF:
        return dequeue(argument);
    case VIDIOC_STREAMON:
        dev.streaming = 1, dev.began_ns = now_ns(), dev.due_ns = dev.began_ns + dev.period_ns;
        return 0;
    case VIDIOC_STREAMOFF:
        dev.streaming = dev.waiting = 0;
        memset(dev.buffer, 0, sizeof dev.buffer);
        return 0;
    }
    return fail(ENOTTY);
}
