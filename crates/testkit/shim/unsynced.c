/*
 * A disk that keeps its promises and no more, for a program that is started with LD_PRELOAD.
 *
 * SIGKILL leaves the page cache, so a program that answers before it has synced passes every test that only kills it.
 * Under this library what was written to a database's files stays in the memory of the process until fsync or fdatasync of
 * that file, as it stays in the page cache of a machine until then: SIGKILL loses it, as a power cut would. The program
 * itself reads back what it wrote.
 *
 * Files: those whose path begins with UNSYNCED_PREFIX (`/x/tagboat.db`, so also `-wal` and `-journal`), but not `-shm`,
 * which SQLite maps and makes anew after a crash. That a file was made, removed or renamed is durable at once.
 *
 * UNSYNCED_CONTROL names a file with one line of numbers, which is read at every write and sync; when it changes, the
 * counts below begin anew:
 *
 *   unsynced  write-error write-skip write-count  sync-error sync-skip sync-count  kill kill-at  seed
 *
 *   unsynced     0: writes go through. 1: they are lost by a kill. 2: likewise, but at every write some sectors of 512
 *                bytes reach the disk at once, as write-back may do at any time: what is left after a kill is torn.
 *                3: syncs do nothing and say that they did, as if the program had left them out.
 *   write-error  an errno: after write-skip writes (truncations and growths are writes) write-count of them fail with
 *                it, -1 for all. EROFS also keeps files from being opened for writing.
 *   sync-error   likewise of syncs. What was not synced is then not written by a later sync either, which is what Linux
 *                does: the pages are clean, and wrong on the disk.
 *   kill         0: never. 1: before, 2: in the middle of, 3: after the sync number kill-at (from 1).
 *
 * Does not: model more than one process, memory maps of the database, or the order of directories and files.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR 512
#define MOST_FILES 65536

struct file {
    struct file *next;
    dev_t device;
    ino_t inode;
    int own;          /* never closed: closing any descriptor of a file drops the locks of the process on it */
    unsigned char *data;
    off_t size, capacity;
    unsigned char *dirty; /* a flag a sector */
};

static struct file *files;
static struct file *by_descriptor[MOST_FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *prefix;
static int control = -1;
static int ready;

static char last_line[256];
static long unsynced, write_error, write_skip, write_count, sync_error, sync_skip, sync_count, kill_moment, kill_at, seed;
static long syncs;
static uint64_t state;

static void start(void) {
    if (ready) return;
    ready = 1;
    prefix = getenv("UNSYNCED_PREFIX");
    const char *path = getenv("UNSYNCED_CONTROL");
    if (path) control = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (!path || control < 0) prefix = NULL;
}

static void read_control(void) {
    char line[256] = {0};
    long read = syscall(SYS_pread64, control, line, sizeof line - 1, 0L);
    if (read <= 0 || !memchr(line, '\n', (size_t)read) || !strcmp(line, last_line)) return;
    memcpy(last_line, line, sizeof line);
    sscanf(line, "%ld %ld %ld %ld %ld %ld %ld %ld %ld %ld", &unsynced, &write_error, &write_skip, &write_count, &sync_error,
           &sync_skip, &sync_count, &kill_moment, &kill_at, &seed);
    syncs = 0;
    state = (uint64_t)seed * 0x9E3779B97F4A7C15u + 0x2545F4914F6CDD1Du;
}

static uint64_t random_number(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Whether this call fails: 0, or the errno. */
static int falls(long error, long *skip, long *count) {
    if (!error || !*count) return 0;
    if (*skip > 0) {
        --*skip;
        return 0;
    }
    if (*count > 0) --*count;
    return (int)error;
}

static int is_meant(const char *path) {
    size_t length = strlen(path);
    if (!prefix || strncmp(path, prefix, strlen(prefix))) return 0;
    return length < 4 || strcmp(path + length - 4, "-shm");
}

static struct file *of(int descriptor) {
    return descriptor >= 0 && descriptor < MOST_FILES ? by_descriptor[descriptor] : NULL;
}

/* Make room for so many bytes; what lies between is zeros. */
static void reach(struct file *file, off_t size) {
    if (size <= file->capacity) return;
    off_t capacity = file->capacity ? file->capacity : 1 << 16;
    while (capacity < size) capacity *= 2;
    file->data = realloc(file->data, (size_t)capacity);
    file->dirty = realloc(file->dirty, (size_t)(capacity / SECTOR));
    if (!file->data || !file->dirty) abort();
    memset(file->data + file->capacity, 0, (size_t)(capacity - file->capacity));
    memset(file->dirty + file->capacity / SECTOR, 0, (size_t)((capacity - file->capacity) / SECTOR));
    file->capacity = capacity;
}

static void put(struct file *file, off_t from, off_t to) {
    if (to > file->size) to = file->size;
    while (from < to) {
        long done = syscall(SYS_pwrite64, file->own, file->data + from, (size_t)(to - from), from);
        if (done <= 0) abort(); /* the disk below is really broken */
        from += done;
    }
}

static void put_sector(struct file *file, off_t sector) {
    put(file, sector * SECTOR, (sector + 1) * SECTOR);
}

static struct file *known(dev_t device, ino_t inode) {
    for (struct file *file = files; file; file = file->next)
        if (file->device == device && file->inode == inode) return file;
    return NULL;
}

static int real_stat(int descriptor, struct stat64 *found) {
    static int (*next)(int, struct stat64 *);
    if (!next) next = (int (*)(int, struct stat64 *))dlsym(RTLD_NEXT, "fstat64");
    return next(descriptor, found);
}

static void take_up(int descriptor) {
    struct stat64 found;
    if (descriptor < 0 || descriptor >= MOST_FILES || real_stat(descriptor, &found) || !S_ISREG(found.st_mode)) return;
    struct file *file = known(found.st_dev, found.st_ino);
    if (!file) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
        file = calloc(1, sizeof *file);
        if (!file) abort();
        file->device = found.st_dev;
        file->inode = found.st_ino;
        file->own = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        file->size = found.st_size;
        reach(file, file->size);
        for (off_t at = 0; at < file->size;) {
            long read = syscall(SYS_pread64, descriptor, file->data + at, (size_t)(file->size - at), at);
            if (read <= 0) break;
            at += read;
        }
        file->next = files;
        files = file;
    }
    by_descriptor[descriptor] = file;
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    start();
    if (!is_meant(path)) return (int)syscall(SYS_openat, folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    read_control();
    int descriptor = -1, failed = 0;
    if ((flags & O_ACCMODE) != O_RDONLY && write_error == EROFS && write_count && !write_skip) failed = EROFS;
    if (failed) errno = failed;
    else if ((descriptor = (int)syscall(SYS_openat, folder, path, flags, mode)) >= 0) take_up(descriptor);
    pthread_mutex_unlock(&lock);
    return descriptor;
}

#define MODE(flags, last)                         \
    mode_t mode = 0;                              \
    if ((flags) & (O_CREAT | O_TMPFILE)) {        \
        va_list arguments;                        \
        va_start(arguments, last);                \
        mode = (mode_t)va_arg(arguments, unsigned); \
        va_end(arguments);                        \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_at(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_at(folder, path, flags | O_LARGEFILE, mode);
}

int close(int descriptor) {
    if (of(descriptor)) {
        pthread_mutex_lock(&lock);
        by_descriptor[descriptor] = NULL;
        pthread_mutex_unlock(&lock);
    }
    return (int)syscall(SYS_close, descriptor);
}

/* What had the name of a removed file, and may give its number to the next. */
static void forget(const char *path) {
    static int (*next)(const char *, struct stat64 *);
    struct stat64 found;
    if (!next) next = (int (*)(const char *, struct stat64 *))dlsym(RTLD_NEXT, "stat64");
    if (next(path, &found)) return;
    pthread_mutex_lock(&lock);
    for (struct file **at = &files; *at; at = &(*at)->next) {
        struct file *file = *at;
        if (file->device != found.st_dev || file->inode != found.st_ino) continue;
        *at = file->next;
        for (int descriptor = 0; descriptor < MOST_FILES; descriptor++)
            if (by_descriptor[descriptor] == file) by_descriptor[descriptor] = NULL;
        break;
    }
    pthread_mutex_unlock(&lock);
}

int unlink(const char *path) {
    start();
    if (is_meant(path)) forget(path);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static ssize_t take_out(struct file *file, void *to, size_t length, off_t from) {
    pthread_mutex_lock(&lock);
    ssize_t read = from >= file->size ? 0 : (ssize_t)length;
    if (read && from + read > file->size) read = file->size - from;
    memcpy(to, file->data + (read ? from : 0), (size_t)read);
    pthread_mutex_unlock(&lock);
    return read;
}

static ssize_t put_in(struct file *file, const void *bytes, size_t length, off_t to) {
    pthread_mutex_lock(&lock);
    read_control();
    int failed = falls(write_error, &write_skip, &write_count);
    if (failed) {
        pthread_mutex_unlock(&lock);
        errno = failed;
        return -1;
    }
    off_t end = to + (off_t)length;
    reach(file, end);
    memcpy(file->data + to, bytes, length);
    if (end > file->size) file->size = end;
    if (!unsynced) put(file, to, end);
    for (off_t sector = to / SECTOR; unsynced && sector * SECTOR < end; sector++) {
        file->dirty[sector] = 1;
        if (unsynced == 2 && random_number() % 4 == 0) put_sector(file, sector);
    }
    pthread_mutex_unlock(&lock);
    return (ssize_t)length;
}

static int cut(struct file *file, off_t size) {
    pthread_mutex_lock(&lock);
    read_control();
    int failed = falls(write_error, &write_skip, &write_count);
    if (!failed) {
        reach(file, size);
        if (size < file->size) {
            memset(file->data + size, 0, (size_t)(file->size - size));
            memset(file->dirty + (size + SECTOR - 1) / SECTOR, 0, (size_t)((file->size - size) / SECTOR));
        }
        file->size = size;
        if ((!unsynced || (unsynced == 2 && random_number() % 2)) && syscall(SYS_ftruncate, file->own, size)) abort();
    }
    pthread_mutex_unlock(&lock);
    errno = failed;
    return failed ? -1 : 0;
}

static void die(void) {
    syscall(SYS_kill, (pid_t)syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

static int settle(struct file *file, int descriptor) {
    pthread_mutex_lock(&lock);
    read_control();
    int is_the_one = kill_moment && ++syncs == kill_at;
    if (is_the_one && kill_moment == 1) die();
    int failed = falls(sync_error, &sync_skip, &sync_count);
    off_t sectors = (file->size + SECTOR - 1) / SECTOR;
    if (failed) {
        memset(file->dirty, 0, (size_t)(file->capacity / SECTOR));
        pthread_mutex_unlock(&lock);
        errno = failed;
        return -1;
    }
    if (unsynced == 3) sectors = 0;
    for (off_t sector = 0; sector < sectors; sector++) {
        if (!file->dirty[sector]) continue;
        if (is_the_one && kill_moment == 2 && random_number() % 2) continue;
        put_sector(file, sector);
        if (!(is_the_one && kill_moment == 2)) file->dirty[sector] = 0;
    }
    if (is_the_one && kill_moment == 2) die();
    struct stat64 found;
    if (unsynced != 3 && !real_stat(file->own, &found) && found.st_size != file->size && syscall(SYS_ftruncate, file->own, file->size)) abort();
    long result = syscall(SYS_fdatasync, descriptor);
    if (is_the_one) die();
    pthread_mutex_unlock(&lock);
    return (int)result;
}

ssize_t pread(int descriptor, void *to, size_t length, off_t from) {
    struct file *file = of(descriptor);
    return file ? take_out(file, to, length, from) : syscall(SYS_pread64, descriptor, to, length, from);
}

ssize_t pread64(int descriptor, void *to, size_t length, off64_t from) {
    return pread(descriptor, to, length, from);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t to) {
    struct file *file = of(descriptor);
    return file ? put_in(file, bytes, length, to) : syscall(SYS_pwrite64, descriptor, bytes, length, to);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t to) {
    return pwrite(descriptor, bytes, length, to);
}

ssize_t read(int descriptor, void *to, size_t length) {
    struct file *file = of(descriptor);
    if (!file) return syscall(SYS_read, descriptor, to, length);
    off_t from = syscall(SYS_lseek, descriptor, 0L, SEEK_CUR);
    ssize_t read = take_out(file, to, length, from);
    syscall(SYS_lseek, descriptor, from + read, SEEK_SET);
    return read;
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
    struct file *file = of(descriptor);
    if (!file) return syscall(SYS_write, descriptor, bytes, length);
    off_t to = syscall(SYS_lseek, descriptor, 0L, SEEK_CUR);
    ssize_t written = put_in(file, bytes, length, to);
    if (written > 0) syscall(SYS_lseek, descriptor, to + written, SEEK_SET);
    return written;
}

int ftruncate(int descriptor, off_t size) {
    struct file *file = of(descriptor);
    return file ? cut(file, size) : (int)syscall(SYS_ftruncate, descriptor, size);
}

int ftruncate64(int descriptor, off64_t size) {
    return ftruncate(descriptor, size);
}

int posix_fallocate(int descriptor, off_t from, off_t length) {
    struct file *file = of(descriptor);
    if (!file) return syscall(SYS_fallocate, descriptor, 0, from, length) ? errno : 0;
    return from + length > file->size && cut(file, from + length) ? errno : 0;
}

int posix_fallocate64(int descriptor, off64_t from, off64_t length) {
    return posix_fallocate(descriptor, from, length);
}

int fsync(int descriptor) {
    struct file *file = of(descriptor);
    return file ? settle(file, descriptor) : (int)syscall(SYS_fsync, descriptor);
}

int fdatasync(int descriptor) {
    struct file *file = of(descriptor);
    return file ? settle(file, descriptor) : (int)syscall(SYS_fdatasync, descriptor);
}

int fstat64(int descriptor, struct stat64 *found) {
    int result = real_stat(descriptor, found);
    struct file *file = of(descriptor);
    if (!result && file) found->st_size = file->size;
    return result;
}

int fstat(int descriptor, struct stat *found) {
    return fstat64(descriptor, (struct stat64 *)found); /* the same on 64-bit machines */
}

int stat64(const char *path, struct stat64 *found) {
    static int (*next)(const char *, struct stat64 *);
    if (!next) next = (int (*)(const char *, struct stat64 *))dlsym(RTLD_NEXT, "stat64");
    start();
    int result = next(path, found);
    if (!result && is_meant(path)) {
        pthread_mutex_lock(&lock);
        struct file *file = known(found->st_dev, found->st_ino);
        if (file) found->st_size = file->size;
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int stat(const char *path, struct stat *found) {
    return stat64(path, (struct stat64 *)found);
}
