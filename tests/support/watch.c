/* Preloaded into a process: writes to $WATCH_LOG which names it asks for, which addresses it
 * connects or sends to, and which files and folders it makes or opens for writing. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static void say(const char *what, const char *about)
{
    const char *log = getenv("WATCH_LOG");
    char line[8192];
    int length, file;

    if (log == NULL)
        return;
    length = snprintf(line, sizeof line, "%s %s\n", what, about == NULL ? "" : about);
    if (length >= (int)sizeof line)
        length = (int)sizeof line - 1;
    file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        if (write(file, line, (size_t)length) < 0)
            abort();
        close(file);
    }
}

static void say_address(const char *what, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (address == NULL)
        return;
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    else if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
    else
        return;
    say(what, text);
}

/* a relative path may be relative to a folder's handle: then only its name is known */
static void say_file(int folder, const char *path)
{
    char full[8192], here[4096];

    if (path[0] == '/')
        say("write", path);
    else if (folder == AT_FDCWD && getcwd(here, sizeof here) != NULL) {
        snprintf(full, sizeof full, "%s/%s", here, path);
        say("write", full);
    } else
        say("write-in-folder", path);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    REAL(getaddrinfo);
    say("name", name);
    return real(name, service, hints, found);
}

struct hostent *gethostbyname(const char *name)
{
    REAL(gethostbyname);
    say("name", name);
    return real(name);
}

int gethostbyname_r(const char *name, struct hostent *entry, char *room, size_t size,
                    struct hostent **found, int *error)
{
    REAL(gethostbyname_r);
    say("name", name);
    return real(name, entry, room, size, found, error);
}

int connect(int socket, const struct sockaddr *address, socklen_t length)
{
    REAL(connect);
    say_address("connect", address);
    return real(socket, address, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags,
               const struct sockaddr *address, socklen_t length)
{
    REAL(sendto);
    say_address("send", address);
    return real(socket, data, size, flags, address, length);
}

#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & O_CREAT))
#define OPEN(name)                                                  \
    int name(const char *path, int flags, ...)                      \
    {                                                               \
        va_list more;                                               \
        mode_t mode;                                                \
        REAL(name);                                                 \
        va_start(more, flags);                                      \
        mode = va_arg(more, mode_t);                                \
        va_end(more);                                               \
        if (WRITES(flags))                                          \
            say_file(AT_FDCWD, path);                               \
        return real(path, flags, mode);                             \
    }
#define OPENAT(name)                                                \
    int name(int folder, const char *path, int flags, ...)          \
    {                                                               \
        va_list more;                                               \
        mode_t mode;                                                \
        REAL(name);                                                 \
        va_start(more, flags);                                      \
        mode = va_arg(more, mode_t);                                \
        va_end(more);                                               \
        if (WRITES(flags))                                          \
            say_file(folder, path);                                 \
        return real(folder, path, flags, mode);                     \
    }
#define FOPEN(name)                                                 \
    FILE *name(const char *path, const char *mode)                  \
    {                                                               \
        REAL(name);                                                 \
        if (strpbrk(mode, "wa+") != NULL)                           \
            say_file(AT_FDCWD, path);                               \
        return real(path, mode);                                    \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FOPEN(fopen)
FOPEN(fopen64)

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    say_file(AT_FDCWD, path);
    return real(path, mode);
}
