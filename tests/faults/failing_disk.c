/* Lets the n-th call that changes something below a folder fail, or kills the process there.
 *
 * Loaded with LD_PRELOAD and asleep until disk_arm(): a program arms it in a forked child.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define ONLY_COUNT 0
#define DIE -1

static char root[PATH_MAX];
static long left;        /* calls until the one that fails */
static int how;          /* an errno, DIE or ONLY_COUNT */
static int stays;        /* whether later calls fail too */
static int only_growth;  /* whether only what needs room fails: writing, creating */
static long counted, failed;
static char first_failed[PATH_MAX + 32];

void disk_arm(const char *folder, long nth, int error, int sticky) {
    snprintf(root, sizeof root, "%s/", folder);
    left = nth, how = error, stays = sticky, only_growth = error == ENOSPC;
    counted = failed = 0, first_failed[0] = 0;
}
void disk_disarm(void) { root[0] = 0; }
long disk_counted(void) { return counted; }
long disk_failed(void) { return failed; }
const char *disk_first_failed(void) { return first_failed; }

/* Return whether this call is to fail; grows: it needs room on the disk. */
static int hit(const char *name, const char *path, int grows) {
    if (!root[0] || strncmp(path, root, strlen(root)) != 0 || (only_growth && !grows))
        return 0;
    long number = __sync_add_and_fetch(&counted, 1);
    if (how == ONLY_COUNT || number < left || (number > left && !stays))
        return 0;
    if (how == DIE) {
        kill(getpid(), SIGKILL);
        pause();
    }
    if (__sync_add_and_fetch(&failed, 1) == 1)
        snprintf(first_failed, sizeof first_failed, "%s %s", name, path + strlen(root));
    errno = how;
    return 1;
}

static int hit_fd(const char *name, int fd, int grows) {
    if (!root[0])
        return 0;
    char link[64], path[PATH_MAX + 1];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    if (strncmp(path, root, strlen(root)) != 0)
        strcat(path, "/"); /* the folder itself */
    return hit(name, path, grows);
}

#define ON_FD(type, name, grows, params, ...)                                                      \
    type name params { return hit_fd(#name, fd, grows) ? -1 : REAL(name)(__VA_ARGS__); }
ON_FD(ssize_t, write, 1, (int fd, const void *data, size_t size), fd, data, size)
ON_FD(ssize_t, pwrite, 1, (int fd, const void *data, size_t size, off_t at), fd, data, size, at)
ON_FD(ssize_t, pwrite64, 1, (int fd, const void *data, size_t size, off64_t at), fd, data, size, at)
ON_FD(int, fsync, 0, (int fd), fd)
ON_FD(int, fdatasync, 0, (int fd), fd)
ON_FD(int, ftruncate, 0, (int fd, off_t size), fd, size)
ON_FD(int, ftruncate64, 0, (int fd, off64_t size), fd, size)

#define ON_PATH(name, path, grows, params, ...)                                                    \
    int name params { return hit(#name, path, grows) ? -1 : REAL(name)(__VA_ARGS__); }
ON_PATH(unlink, path, 0, (const char *path), path)
ON_PATH(rename, to, 0, (const char *from, const char *to), from, to)
ON_PATH(mkdir, path, 1, (const char *path, mode_t mode), path, mode)

#define CREATING(name, ...)                                                                        \
    {                                                                                              \
        mode_t mode = 0;                                                                           \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                                     \
            va_list more;                                                                          \
            va_start(more, flags);                                                                 \
            mode = va_arg(more, mode_t);                                                           \
            va_end(more);                                                                          \
        }                                                                                          \
        int creates = (flags & O_CREAT) && access(path, F_OK) != 0;                                \
        return creates && hit(#name, path, 1) ? -1 : REAL(name)(__VA_ARGS__);                      \
    }
int open(const char *path, int flags, ...) CREATING(open, path, flags, mode)
int open64(const char *path, int flags, ...) CREATING(open64, path, flags, mode)
int openat(int dir, const char *path, int flags, ...) CREATING(openat, dir, path, flags, mode)
int openat64(int dir, const char *path, int flags, ...) CREATING(openat64, dir, path, flags, mode)
