/* A CUDA driver without a GPU: what engines/gpu/device.py and engines/build/trial.py call, on host memory.
 *
 * Work that is queued (stand_in_queue) runs when the stream is synchronised, not before: what
 * forgets to wait reads stale memory, every time. Copies outside a live allocation fail with
 * CUDA_ERROR_INVALID_VALUE. STAND_IN_GPU="name/major/minor/count" in the environment. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_VALUE = 1, NO_MEMORY = 2, SLOTS = 64 };

static struct { char *begin; size_t size; } held[SLOTS];
static int live, contexts, streams;
static void (*queued)(void);

static void gpu(char *name, int *major, int *minor, int *count) {
    const char *text = getenv("STAND_IN_GPU");
    strcpy(name, "Orin"), *major = 8, *minor = 7, *count = 1;
    if (text) sscanf(text, "%99[^/]/%d/%d/%d", name, major, minor, count);
}

#define GPU char name[100]; int major, minor, count; gpu(name, &major, &minor, &count)

int cuInit(unsigned flags) { return flags ? INVALID_VALUE : OK; }
int cuDeviceGetCount(int *out) { GPU; *out = count; return OK; }
int cuDeviceGet(int *out, int number) { *out = number; return number ? INVALID_VALUE : OK; }
int cuDeviceGetName(char *out, int size, int device) {
    GPU; snprintf(out, (size_t)size, "%s", name); return device ? INVALID_VALUE : OK;
}
int cuDeviceGetAttribute(int *out, int attribute, int device) {
    GPU;
    *out = attribute == 75 ? major : minor;
    return device || (attribute != 75 && attribute != 76) ? INVALID_VALUE : OK;
}
int cuDeviceTotalMem_v2(size_t *out, int device) { *out = (size_t)8 << 30; return device; }
int cuDevicePrimaryCtxRetain(void **out, int device) { contexts++; *out = &contexts; return device; }
int cuDevicePrimaryCtxRelease_v2(int device) { contexts--; return device; }
int cuCtxSetCurrent(void *context) { return context == &contexts ? OK : INVALID_VALUE; }
int cuStreamCreate(void **out, unsigned flags) { streams++; *out = &streams; return flags ? INVALID_VALUE : OK; }
int cuStreamDestroy_v2(void *stream) { streams--; return stream == &streams ? OK : INVALID_VALUE; }

int cuStreamSynchronize(void *stream) {
    if (stream != &streams) return INVALID_VALUE;
    if (queued) { void (*work)(void) = queued; queued = 0; work(); }
    return OK;
}

int cuMemAlloc_v2(uint64_t *out, size_t size) {
    for (int i = 0; i < SLOTS; i++)
        if (!held[i].begin) {
            held[i].begin = malloc(size), held[i].size = size, live++;
            *out = (uint64_t)(uintptr_t)held[i].begin;
            return OK;
        }
    return NO_MEMORY;
}

static int inside(uint64_t address, size_t size) {
    for (int i = 0; i < SLOTS; i++) {
        uint64_t begin = (uint64_t)(uintptr_t)held[i].begin;
        if (begin && address >= begin && address + size <= begin + held[i].size) return 1;
    }
    return 0;
}

int cuMemFree_v2(uint64_t address) {
    for (int i = 0; i < SLOTS; i++)
        if (held[i].begin && (uint64_t)(uintptr_t)held[i].begin == address) {
            free(held[i].begin), held[i].begin = 0, live--;
            return OK;
        }
    return INVALID_VALUE;
}

int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) {
    if (!inside(to, size)) return INVALID_VALUE;
    memcpy((void *)(uintptr_t)to, from, size);
    return OK;
}

int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) {
    if (!inside(from, size)) return INVALID_VALUE;
    memcpy(to, (void *)(uintptr_t)from, size);
    return OK;
}

void stand_in_queue(void (*work)(void)) { queued = work; }
int stand_in_inside(uint64_t address, size_t size) { return inside(address, size); }
int stand_in_live(void) { return live + contexts + streams; }
