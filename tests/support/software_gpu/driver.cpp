/* A CUDA driver on this computer's memory: what pycuda and engines/gpu/cuda.py call, and no more.
 *
 * Everything enqueued waits until its stream is synchronised, so what forgets to wait reads stale
 * memory, every time. Addresses of the GPU are not addresses here: touching one from the host is a
 * segmentation fault, and what leaves a live allocation is error 700 for good, as on a GPU. Kernels
 * are the CPU build of cpu_kernels.py; a launch whose packed arguments have the wrong size is error
 * 1. Asynchronous copies want page-locked memory. STAND_IN_NO_GRAPH refuses captures. */
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))
enum { OK = 0, INVALID_VALUE = 1, INVALID_CONTEXT = 201, NOT_FOUND = 500, NOT_READY = 600,
       ILLEGAL_ADDRESS = 700, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901 };
typedef int Status;
typedef std::function<void()> Work;

static const uint64_t BIAS = 1ull << 46;
enum Kind { DEVICE, PINNED, MAPPED };
struct Block { size_t size; Kind kind; };
static std::map<uint64_t, Block> blocks;  // by this computer's addresses
static Status broken = OK;                // once wrong, always wrong

struct Stream { std::deque<Work> queue; std::vector<Work> *capturing = nullptr; bool spoilt = false; };
struct Event { double at_ms = -1; };
struct Module { void *library; };
struct Function { std::string name; void *library; size_t size; };
static std::map<void *, std::unique_ptr<Stream>> streams;
static std::map<void *, std::unique_ptr<Event>> events;
static std::map<void *, std::unique_ptr<Module>> modules;
static std::map<void *, std::unique_ptr<Function>> functions;
static std::map<void *, std::unique_ptr<std::vector<Work>>> graphs;
static int contexts, pushed, launched, graph_launches;
static char context;

template <class T> static void *keep(std::map<void *, std::unique_ptr<T>> &all, T *thing)
{
    all[thing].reset(thing);
    return thing;
}

template <class T> static T *at(std::map<void *, std::unique_ptr<T>> &all, void *handle)
{
    auto found = all.find(handle);
    return found == all.end() ? nullptr : found->second.get();
}

static const Block *block_of(uint64_t address, size_t size)
{
    auto found = blocks.upper_bound(address);
    if (found == blocks.begin())
        return nullptr;
    --found;
    return address + size <= found->first + found->second.size ? &found->second : nullptr;
}

/* Where memory of the GPU lies here; null outside of what is allocated. */
static void *here(uint64_t address, size_t size)
{
    const Block *block = address >= BIAS ? block_of(address - BIAS, size) : nullptr;
    return block && block->kind != PINNED ? (void *)(address - BIAS) : nullptr;
}

static bool is_pinned(const void *memory, size_t size)
{
    const Block *block = block_of((uint64_t)memory, size);
    return block && block->kind != DEVICE;
}

static Status enqueue(void *handle, Work work)
{
    Stream *stream = at(streams, handle);
    if (!stream)
        return INVALID_VALUE;  // nothing of ours goes by the default stream
    if (broken)
        return broken;
    if (stream->capturing)
        stream->capturing->push_back(work);
    else
        stream->queue.push_back(work);
    return OK;
}

static Status finish(Stream *stream)
{
    if (stream->capturing) {
        stream->spoilt = true;  // waiting inside a capture voids it
        return CAPTURE_UNSUPPORTED;
    }
    while (!stream->queue.empty() && !broken) {
        Work work = stream->queue.front();
        stream->queue.pop_front();
        work();
    }
    return broken;
}

static Status finish_all()
{
    for (auto &each : streams)
        if (Status status = finish(each.second.get()))
            return status;
    return broken;
}

/* device and context */
API Status cuInit(unsigned flags) { return flags ? INVALID_VALUE : OK; }
API Status cuDriverGetVersion(int *out) { *out = 13000; return OK; }
API Status cuDeviceGetCount(int *out) { *out = 1; return OK; }
API Status cuDeviceGet(int *out, int number) { *out = number; return number ? INVALID_VALUE : OK; }
API Status cuDeviceGetName(char *out, int size, int) { snprintf(out, size, "Orin"); return OK; }
API Status cuDeviceTotalMem_v2(size_t *out, int) { *out = (size_t)8 << 30; return OK; }
API Status cuDeviceComputeCapability(int *major, int *minor, int) { *major = 8; *minor = 7; return OK; }
API Status cuDeviceGetAttribute(int *out, int attribute, int)
{
    *out = attribute == 75 ? 8 : attribute == 76 ? 7 : 1;
    return OK;
}
API Status cuDevicePrimaryCtxRetain(void **out, int) { contexts++; *out = &context; return OK; }
API Status cuDevicePrimaryCtxRelease_v2(int) { contexts--; return OK; }
API Status cuCtxPushCurrent_v2(void *) { pushed++; return OK; }
API Status cuCtxPopCurrent_v2(void **out) { pushed--; *out = &context; return OK; }
API Status cuCtxGetDevice(int *out) { *out = 0; return pushed > 0 ? OK : INVALID_CONTEXT; }
API Status cuCtxSynchronize() { return finish_all(); }
API Status cuGetErrorString(int error, const char **out)
{
    *out = error == ILLEGAL_ADDRESS ? "an illegal memory access was encountered" : "stand-in error";
    return OK;
}

/* memory */
static Status allocate(uint64_t *out, size_t size, Kind kind, uint64_t bias)
{
    if (pushed < 1)
        return INVALID_CONTEXT;
    void *memory = malloc(size);
    memset(memory, 0xAB, size);
    blocks[(uint64_t)memory] = {size, kind};
    *out = (uint64_t)memory + bias;
    return OK;
}

static Status release(uint64_t address)
{
    if (finish_all() && !broken)
        return CAPTURE_UNSUPPORTED;
    if (!blocks.erase(address))
        return INVALID_VALUE;
    free((void *)address);
    return OK;
}

API Status cuMemAlloc_v2(uint64_t *out, size_t size) { return allocate(out, size, DEVICE, BIAS); }
API Status cuMemFree_v2(uint64_t address) { return release(address - BIAS); }
API Status cuMemHostAlloc(void **out, size_t size, unsigned flags)
{
    return allocate((uint64_t *)out, size, flags & 2 ? MAPPED : PINNED, 0);
}
API Status cuMemFreeHost(void *memory) { return release((uint64_t)memory); }
API Status cuMemHostGetDevicePointer_v2(uint64_t *out, void *memory, unsigned)
{
    const Block *block = block_of((uint64_t)memory, 1);
    *out = (uint64_t)memory + BIAS;
    return block && block->kind == MAPPED ? OK : INVALID_VALUE;
}

API Status cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream)
{
    if (!here(to, size) || !is_pinned(from, size))
        return INVALID_VALUE;
    return enqueue(stream, [=] {
        void *place = here(to, size);
        if (place && is_pinned(from, size))
            memcpy(place, from, size);
        else
            broken = ILLEGAL_ADDRESS;
    });
}

API Status cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream)
{
    if (!here(from, size) || !is_pinned(to, size))
        return INVALID_VALUE;
    return enqueue(stream, [=] {
        void *place = here(from, size);
        if (place && is_pinned(to, size))
            memcpy(to, place, size);
        else
            broken = ILLEGAL_ADDRESS;
    });
}

/* streams and events */
API Status cuStreamCreate(void **out, unsigned) { *out = keep(streams, new Stream); return OK; }
API Status cuStreamDestroy_v2(void *stream) { return streams.erase(stream) ? OK : INVALID_VALUE; }
API Status cuStreamSynchronize(void *handle)
{
    Stream *stream = at(streams, handle);
    return stream ? finish(stream) : INVALID_VALUE;
}
API Status cuEventCreate(void **out, unsigned) { *out = keep(events, new Event); return OK; }
API Status cuEventDestroy_v2(void *event) { return events.erase(event) ? OK : INVALID_VALUE; }
API Status cuEventRecord(void *handle, void *stream)
{
    return enqueue(stream, [=] {
        if (Event *event = at(events, handle)) {
            auto now = std::chrono::steady_clock::now().time_since_epoch();
            event->at_ms = std::chrono::duration<double, std::milli>(now).count();
        }
    });
}
API Status cuEventElapsedTime_v2(float *out, void *first, void *second)
{
    Event *a = at(events, first), *b = at(events, second);
    if (!a || !b)
        return INVALID_VALUE;
    if (a->at_ms < 0 || b->at_ms < 0)
        return NOT_READY;
    *out = (float)(b->at_ms - a->at_ms);
    return OK;
}

/* kernels: STAND_IN_KERNELS names the library that cpu_kernels.build made */
API Status cuModuleLoadDataEx(void **out, const void *image, unsigned, void *, void *)
{
    void *library = memcmp(image, "\177ELF", 4) ? nullptr : dlopen(getenv("STAND_IN_KERNELS"), RTLD_NOW);
    *out = keep(modules, new Module{library});
    return library ? OK : INVALID_VALUE;
}
API Status cuModuleUnload(void *module) { return modules.erase(module) ? OK : INVALID_VALUE; }
API Status cuModuleGetFunction(void **out, void *handle, const char *name)
{
    Module *module = at(modules, handle);
    void *size = module ? dlsym(module->library, (std::string("packed_size_") + name).c_str()) : nullptr;
    if (!size)
        return NOT_FOUND;
    *out = keep(functions, new Function{name, module->library, *(size_t *)size});
    return OK;
}
API Status cuFuncSetBlockShape(void *, int, int, int) { return OK; }  // pycuda asks, then launches
API Status cuLaunchKernel(void *handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                          unsigned by, unsigned bz, unsigned, void *stream, void **parameters,
                          void **extra)
{
    Function *function = at(functions, handle);
    if (!function || parameters || !extra || extra[0] != (void *)1 || extra[2] != (void *)2)
        return INVALID_VALUE;
    const char *bytes = (const char *)extra[1];
    size_t size = *(size_t *)extra[3];
    if (size != function->size) {
        fprintf(stderr, "stand-in: %s takes %zu bytes of arguments, %zu given\n",
                function->name.c_str(), function->size, size);
        return INVALID_VALUE;
    }
    std::vector<char> packed(bytes, bytes + size);
    std::vector<unsigned> shape = {gx, gy, gz, bx, by, bz};
    typedef int (*Call)(const unsigned *, const char *, void *(*)(uint64_t, size_t));
    Call call = (Call)dlsym(function->library, ("packed_" + function->name).c_str());
    return enqueue(stream, [=] {
        launched++;
        if (int wrong = call(shape.data(), packed.data(), here)) {
            fprintf(stderr, "stand-in: %s: argument %d is outside all memory\n",
                    function->name.c_str(), wrong - 1);
            broken = ILLEGAL_ADDRESS;
        }
    });
}

/* graphs */
API Status cuStreamBeginCapture_v2(void *handle, int)
{
    Stream *stream = at(streams, handle);
    if (!stream || stream->capturing)
        return INVALID_VALUE;
    if (getenv("STAND_IN_NO_GRAPH"))
        return CAPTURE_UNSUPPORTED;
    stream->capturing = new std::vector<Work>;
    stream->spoilt = false;
    return OK;
}
API Status cuStreamEndCapture(void *handle, void **out)
{
    Stream *stream = at(streams, handle);
    if (!stream || !stream->capturing)
        return INVALID_VALUE;
    std::vector<Work> *graph = stream->capturing;
    stream->capturing = nullptr;
    *out = nullptr;
    if (stream->spoilt) {
        delete graph;
        return CAPTURE_INVALIDATED;
    }
    *out = keep(graphs, graph);
    return OK;
}
API Status cuGraphInstantiateWithFlags(void **out, void *handle, unsigned long long flags)
{
    std::vector<Work> *graph = at(graphs, handle);
    if (!graph || flags)
        return INVALID_VALUE;
    *out = keep(graphs, new std::vector<Work>(*graph));
    return OK;
}
API Status cuGraphLaunch(void *handle, void *stream)
{
    std::vector<Work> *graph = at(graphs, handle);
    if (!graph)
        return INVALID_VALUE;
    graph_launches++;
    for (Work &work : *graph)
        if (Status status = enqueue(stream, work))
            return status;
    return OK;
}
API Status cuGraphDestroy(void *graph) { return graphs.erase(graph) ? OK : INVALID_VALUE; }
API Status cuGraphExecDestroy(void *graph) { return graphs.erase(graph) ? OK : INVALID_VALUE; }

/* for the stand-in of TensorRT and for tests */
API Status stand_in_queue(void *stream, void (*work)()) { return enqueue(stream, [=] { work(); }); }
API void *stand_in_here(uint64_t address, size_t size) { return here(address, size); }
API int stand_in_launched() { return launched; }
API int stand_in_graph_launches() { return graph_launches; }
API void stand_in_break() { broken = ILLEGAL_ADDRESS; }
API int stand_in_live(int what)
{
    int live[] = {(int)blocks.size(), contexts, pushed, (int)streams.size(), (int)events.size(),
                  (int)modules.size(), (int)graphs.size()};
    return what < (int)std::size(live) ? live[what] : -1;
}
API unsigned long long stand_in_bytes()
{
    unsigned long long total = 0;
    for (auto &each : blocks)
        total += each.second.size;
    return total;
}
