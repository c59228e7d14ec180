/* Writes down, in order, everything a process asks the disk for below $SK_TRACE_ROOT.
 *
 * Loaded with LD_PRELOAD. Each entry of $SK_TRACE: kind, inode, offset, length, then that many
 * bytes. Nothing is really synced: what a sync would have meant is decided at the replay.
 *
 *   C created (path)      W written (bytes)       T cut or extended to `offset`
 *   S file synced         D directory synced      M directory made (path)
 *   U unlinked (path)     R renamed (old\0new)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 4096
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static unsigned char followed[FILES];
static const char *root;
static int trace = -1;

__attribute__((constructor)) static void begin(void) {
    root = getenv("SK_TRACE_ROOT");
    const char *path = getenv("SK_TRACE");
    if (root && path)
        trace = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int below(const char *path) {
    return trace >= 0 && path && strncmp(path, root, strlen(root)) == 0;
}

static int follows(int fd) { return fd >= 0 && fd < FILES && followed[fd]; }

static uint64_t inode(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 ? found.st_ino : 0;
}

static void put(char kind, uint64_t ino, uint64_t offset, const void *data, uint64_t length) {
    struct __attribute__((packed)) {
        char kind;
        uint64_t ino, offset, length;
    } head = {kind, ino, offset, length};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, length}};
    if (REAL(writev)(trace, parts, 2) != (ssize_t)(sizeof head + length))
        abort();
}

static void put_path(char kind, uint64_t ino, const char *path) {
    put(kind, ino, 0, path, strlen(path));
}

static const char *whole(int dir, const char *path, char *room) {
    if (path[0] == '/' || dir == AT_FDCWD)
        return path;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t size = readlink(link, room, PATH_MAX);
    if (size < 0)
        return path;
    snprintf(room + size, PATH_MAX - size, "/%s", path);
    return room;
}

static int opened(int fd, const char *path, int flags, int was_there) {
    if (fd < 0 || fd >= FILES)
        return fd;
    followed[fd] = below(path);
    if (followed[fd] && (flags & O_CREAT) && !was_there)
        put_path('C', inode(fd), path);
    else if (followed[fd] && (flags & O_TRUNC))
        put('T', inode(fd), 0, "", 0);
    return fd;
}

#define OPEN(name, path_now, ...)                                                          \
    {                                                                                              \
        mode_t mode = 0;                                                                           \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                                     \
            va_list more;                                                                          \
            va_start(more, flags);                                                                 \
            mode = va_arg(more, mode_t);                                                           \
            va_end(more);                                                                          \
        }                                                                                          \
        char room[2 * PATH_MAX];                                                                   \
        (void)room;                                                                                \
        const char *full = path_now;                                                               \
        struct stat seen;                                                                          \
        pthread_mutex_lock(&turn);                                                                 \
        int was_there = stat(full, &seen) == 0;                                                    \
        int fd = opened(REAL(name)(__VA_ARGS__), full, flags, was_there);                          \
        pthread_mutex_unlock(&turn);                                                               \
        return fd;                                                                                 \
    }

int open(const char *path, int flags, ...) OPEN(open, path, path, flags, mode)
int open64(const char *path, int flags, ...) OPEN(open64, path, path, flags, mode)
int openat(int dir, const char *path, int flags, ...)
    OPEN(openat, whole(dir, path, room), dir, path, flags, mode)
int openat64(int dir, const char *path, int flags, ...)
    OPEN(openat64, whole(dir, path, room), dir, path, flags, mode)

int close(int fd) {
    if (fd >= 0 && fd < FILES)
        followed[fd] = 0;
    return REAL(close)(fd);
}

static ssize_t wrote(int fd, const void *data, ssize_t done, off64_t offset) {
    if (done > 0)
        put('W', inode(fd), (uint64_t)offset, data, (uint64_t)done);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    if (!follows(fd))
        return REAL(write)(fd, data, size);
    pthread_mutex_lock(&turn);
    ssize_t done = REAL(write)(fd, data, size);
    done = wrote(fd, data, done, lseek64(fd, 0, SEEK_CUR) - (done > 0 ? done : 0));
    pthread_mutex_unlock(&turn);
    return done;
}

#define PWRITE(name, offset_type)                                                                  \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) {                      \
        if (!follows(fd))                                                                          \
            return REAL(name)(fd, data, size, offset);                                             \
        pthread_mutex_lock(&turn);                                                                 \
        ssize_t done = wrote(fd, data, REAL(name)(fd, data, size, offset), offset);                \
        pthread_mutex_unlock(&turn);                                                               \
        return done;                                                                               \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, offset_type)                                                                \
    int name(int fd, offset_type size) {                                                           \
        if (!follows(fd))                                                                          \
            return REAL(name)(fd, size);                                                           \
        pthread_mutex_lock(&turn);                                                                 \
        int failed = REAL(name)(fd, size);                                                         \
        if (!failed)                                                                               \
            put('T', inode(fd), (uint64_t)size, "", 0);                                            \
        pthread_mutex_unlock(&turn);                                                               \
        return failed;                                                                             \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

static int synced(int fd) {
    struct stat found;
    pthread_mutex_lock(&turn);
    if (fstat(fd, &found) == 0)
        put(S_ISDIR(found.st_mode) ? 'D' : 'S', found.st_ino, 0, "", 0);
    pthread_mutex_unlock(&turn);
    return 0;
}

int fsync(int fd) { return follows(fd) ? synced(fd) : REAL(fsync)(fd); }
int fdatasync(int fd) { return follows(fd) ? synced(fd) : REAL(fdatasync)(fd); }

#define REMOVE(name, full, ...)                                                                    \
    {                                                                                              \
        char room[2 * PATH_MAX];                                                                   \
        (void)room;                                                                                \
        const char *gone = full;                                                                   \
        pthread_mutex_lock(&turn);                                                                 \
        int failed = REAL(name)(__VA_ARGS__);                                                      \
        if (!failed && below(gone))                                                                \
            put_path('U', 0, gone);                                                                \
        pthread_mutex_unlock(&turn);                                                               \
        return failed;                                                                             \
    }

int unlink(const char *path) REMOVE(unlink, path, path)
int rmdir(const char *path) REMOVE(rmdir, path, path)
int unlinkat(int dir, const char *path, int flags)
    REMOVE(unlinkat, whole(dir, path, room), dir, path, flags)

int rename(const char *from, const char *to) {
    pthread_mutex_lock(&turn);
    int failed = REAL(rename)(from, to);
    if (!failed && below(to)) {
        char both[2 * PATH_MAX];
        int size = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
        put('R', 0, 0, both, (uint64_t)size);
    }
    pthread_mutex_unlock(&turn);
    return failed;
}

int mkdir(const char *path, mode_t mode) {
    pthread_mutex_lock(&turn);
    int failed = REAL(mkdir)(path, mode);
    struct stat made;
    if (!failed && below(path) && stat(path, &made) == 0)
        put_path('M', made.st_ino, path);
    pthread_mutex_unlock(&turn);
    return failed;
}

/* Copies inside the kernel would pass by unseen; refused, Python reads and writes instead. */
ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    if (!follows(to))
        return REAL(sendfile)(to, from, offset, size);
    errno = EINVAL;
    return -1;
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) {
    if (!follows(to))
        return REAL(sendfile64)(to, from, offset, size);
    errno = EINVAL;
    return -1;
}
