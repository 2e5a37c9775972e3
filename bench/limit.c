// The yardstick: copies or deletes a tree with the fewest system calls that do all of the work.
//
//     limit cp [-jN] SOURCE TARGET      TARGET must not exist; its parent must
//     limit rm [-jN] PATH
//
// What a copy keeps: contents and holes, hard links, symbolic links, special files, owners, modes,
// extended attributes (ACLs are among them), and times in nanoseconds; and the source's access times.
// What it leaves out is what a file manager needs and a lower bound does not: progress, cancelling,
// conflicts, staging, durability, a sensible reaction to errors (it says what failed and exits with 1).
//
// N workers (2 unless told) share one descriptor table. The unit of work is a directory, named by its
// path from the two roots. Scanning a directory creates its subdirectories in the target, so that its
// own metadata is final as soon as its scan ends: there is no second pass. A worker goes on with the
// last subdirectory it finds and offers the others, so that a chain of directories wakes nobody.
//
// Calls for a small file: openat, fstat, openat, read, write, flistxattr, utimensat, close, close.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    BUFFER = 256 << 10,    // one read and one write for nearly every file
    LISTING = 128 << 10,   // some thousand names for one getdents64
    LARGE = 4 << 20,       // from here copy_file_range beats read and write
    MOST_WORKERS = 256,
    LINK_BUCKETS = 4096,
};

// A directory to do.
struct task {
    struct task *next;      // below this one on the stack
    struct task *parent;    // rm: the directory that holds this one
    int pending;            // rm: subdirectories not yet gone, and 1 for the directory's own scan
    size_t length;          // of the path; 0 is the root, whose path is "."
    char path[];
};

// Where the first name of a file with several hard links was made.
struct link {
    dev_t dev;
    ino_t ino;
    struct link *next;
    char path[];
};

static bool deleting;
static int workers = 2;
static int source_root, target_root;
static uid_t user;
static gid_t group;
// Learnt from the first refusal, then never asked again. A race costs one more refused call.
static bool cannot_clone, cannot_copy_range, no_xattrs;
static int no_atime = O_NOATIME;

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_changed = PTHREAD_COND_INITIALIZER;
static struct task *stack;
static int busy, idle;

static pthread_mutex_t links_lock = PTHREAD_MUTEX_INITIALIZER;
static struct link *links[LINK_BUCKETS];

static void die(const char *what) { perror(what); exit(1); }
static int check(int result, const char *what) { if (result < 0) die(what); return result; }
static void *need(void *memory) { if (!memory) die("malloc"); return memory; }

// ---------------------------------------------------------------- the queue

static void push(struct task *task) {
    pthread_mutex_lock(&queue_lock);
    task->next = stack;
    stack = task;
    if (idle)
        pthread_cond_signal(&queue_changed);
    pthread_mutex_unlock(&queue_lock);
}

// The next task, or NULL when the tree is done: nothing is queued and nobody can queue more.
static struct task *pop(void) {
    pthread_mutex_lock(&queue_lock);
    busy--;
    while (!stack && busy) {
        idle++;
        pthread_cond_wait(&queue_changed, &queue_lock);
        idle--;
    }
    struct task *task = stack;
    if (task) {
        stack = task->next;
        busy++;
    } else {
        pthread_cond_broadcast(&queue_changed);
    }
    pthread_mutex_unlock(&queue_lock);
    return task;
}

static struct task *new_task(struct task *parent, const char *name) {
    size_t name_length = strlen(name), prefix = parent->length ? parent->length + 1 : 0;
    struct task *task = need(malloc(sizeof *task + prefix + name_length + 1));
    *task = (struct task){.parent = parent, .pending = 1, .length = prefix + name_length};
    if (prefix) {
        memcpy(task->path, parent->path, parent->length);
        task->path[parent->length] = '/';
    }
    memcpy(task->path + prefix, name, name_length + 1);
    return task;
}

// ---------------------------------------------------------------- metadata

static void copy_xattrs(int source, int target) {
    // The kernel allocates as much as it is offered, so offer little for what is nearly always nothing.
    char few[256], many[XATTR_LIST_MAX], *names = few, value[XATTR_SIZE_MAX];
    if (no_xattrs)
        return;
    ssize_t size = flistxattr(source, few, sizeof few);
    if (size < 0 && errno == ERANGE)
        size = flistxattr(source, names = many, sizeof many);
    if (size < 0) {
        if (errno != ENOTSUP)
            die("flistxattr");
        no_xattrs = true;
    }
    for (char *name = names; name < names + size; name += strlen(name) + 1) {
        ssize_t length = fgetxattr(source, name, value, sizeof value);
        check(length, name);
        check(fsetxattr(target, name, value, length, 0), name);
    }
}

// Owner before xattrs and mode, because chown drops capabilities and set-user-ID; times last.
// `made` is the mode that the target was created with, which spares most entries a chmod.
static void copy_metadata(int source, int target, const struct stat *stat, mode_t made) {
    if (stat->st_uid != user || stat->st_gid != group)
        check(fchown(target, stat->st_uid, stat->st_gid), "fchown");
    copy_xattrs(source, target);
    if ((stat->st_mode & 07777) != made)
        check(fchmod(target, stat->st_mode & 07777), "fchmod");
    check(futimens(target, (struct timespec[]){stat->st_atim, stat->st_mtim}), "futimens");
}

// The mode a file is created with: not yet set-user-ID; writable, unless for root, to take xattrs.
static mode_t first_mode(const struct stat *stat) { return (stat->st_mode & 0777) | (user ? S_IWUSR : 0); }

// ---------------------------------------------------------------- contents

static void copy_bytes(int source, int target, off_t at, off_t end, char *buffer) {
    while (at < end) {
        size_t want = end - at;
        ssize_t got = -1;
        if (!cannot_copy_range) {
            off_t in = at, out = at;
            got = copy_file_range(source, &in, target, &out, want, 0);
            if (got < 0)
                cannot_copy_range = true;
        }
        if (cannot_copy_range && got < 0) {
            got = pread(source, buffer, want < BUFFER ? want : BUFFER, at);
            if (check(got, "read") > 0 && pwrite(target, buffer, got, at) != got)
                die("write");
        }
        if (got == 0)
            return;    // the source was truncated meanwhile
        at += got;
    }
}

// Copies what is between the holes, which stay holes in the target.
static void copy_data(int source, int target, off_t size, char *buffer) {
    check(ftruncate(target, size), "ftruncate");
    off_t at = 0;
    while (at < size && (at = lseek(source, at, SEEK_DATA)) >= 0) {
        off_t hole = lseek(source, at, SEEK_HOLE);
        if (hole < 0)
            die("lseek");
        copy_bytes(source, target, at, hole, buffer);
        at = hole;
    }
}

static bool try_clone(int source, int target) {
    if (!cannot_clone && ioctl(target, FICLONE, source) < 0)
        cannot_clone = true;
    return !cannot_clone;
}

// Fills and finishes a file that was just created, and closes both descriptors.
static void fill_file(int source, int target, const struct stat *stat, char *buffer) {
    if (stat->st_size == 0 || try_clone(source, target)) {
        // Nothing is left to be copied.
    } else if (stat->st_blocks * 512 < stat->st_size) {
        copy_data(source, target, stat->st_size, buffer);
    } else if (stat->st_size >= LARGE) {
        copy_bytes(source, target, 0, stat->st_size, buffer);
    } else {
        // The size is known, so no second read is needed to see the end.
        for (off_t left = stat->st_size; left > 0;) {
            ssize_t got = read(source, buffer, BUFFER);
            if (check(got, "read") == 0)
                break;
            if (write(target, buffer, got) != got)
                die("write");
            left -= got;
        }
    }
    copy_metadata(source, target, stat, first_mode(stat));
    close(source);
    close(target);
}

// ---------------------------------------------------------------- entries

static int create(int folder, const char *name, const struct stat *stat) {
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    return check(openat(folder, name, flags, first_mode(stat)), name);
}

// Creates the first name of a file, or links a further name to it and returns -1. The first name is
// linked to as soon as it exists: its contents may still be on their way.
static int create_or_link(struct task *task, int to, const char *name, const struct stat *stat) {
    struct link **bucket = &links[(stat->st_ino * 2654435761u >> 8) % LINK_BUCKETS];
    pthread_mutex_lock(&links_lock);
    struct link *link = *bucket;
    while (link && (link->ino != stat->st_ino || link->dev != stat->st_dev))
        link = link->next;
    int target = -1;
    if (link) {
        check(linkat(target_root, link->path, to, name, 0), name);
    } else {
        link = need(malloc(sizeof *link + task->length + strlen(name) + 2));
        *link = (struct link){.dev = stat->st_dev, .ino = stat->st_ino, .next = *bucket};
        sprintf(link->path, "%s/%s", task->path, name);
        *bucket = link;
        target = create(to, name, stat);
    }
    pthread_mutex_unlock(&links_lock);
    return target;
}

static void copy_file(struct task *task, int from, int to, const char *name, char *buffer) {
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
    int source = openat(from, name, flags | no_atime);
    if (source < 0 && errno == EPERM) {    // O_NOATIME is for the owner only
        no_atime = 0;
        source = openat(from, name, flags);
    }
    struct stat stat;
    check(fstat(check(source, name), &stat), name);
    int target = stat.st_nlink > 1 ? create_or_link(task, to, name, &stat) : create(to, name, &stat);
    if (target < 0)
        close(source);
    else
        fill_file(source, target, &stat, buffer);
}

// Symbolic links, pipes, sockets and devices. (A link's xattrs, which only root can set, are not kept.)
static void copy_special(int from, int to, const char *name) {
    struct stat stat;
    check(fstatat(from, name, &stat, AT_SYMLINK_NOFOLLOW), name);
    if (S_ISLNK(stat.st_mode)) {
        char text[PATH_MAX];
        ssize_t length = readlinkat(from, name, text, sizeof text - 1);
        text[check(length, name)] = 0;
        check(symlinkat(text, to, name), name);
    } else {
        check(mknodat(to, name, stat.st_mode, stat.st_rdev), name);
    }
    if (stat.st_uid != user || stat.st_gid != group)
        check(fchownat(to, name, stat.st_uid, stat.st_gid, AT_SYMLINK_NOFOLLOW), name);
    struct timespec times[] = {stat.st_atim, stat.st_mtim};
    check(utimensat(to, name, times, AT_SYMLINK_NOFOLLOW), name);
}

static int kind_of(int folder, const struct dirent64 *entry) {
    struct stat stat;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    check(fstatat(folder, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW), entry->d_name);
    return IFTODT(stat.st_mode);
}

static int open_folder(int root, const char *path) {
    return check(openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), path);
}

// ---------------------------------------------------------------- directories

// Removes a directory whose scan has ended once its subdirectories are gone, then its parent likewise.
static void leave(struct task *task) {
    while (task && !__atomic_sub_fetch(&task->pending, 1, __ATOMIC_ACQ_REL)) {
        struct task *parent = task->parent;
        if (parent)    // the root itself has no name below the root
            check(unlinkat(source_root, task->path, AT_REMOVEDIR), task->path);
        free(task);
        task = parent;
    }
}

// Does one directory; returns the subdirectory that this worker goes on with, if there is any.
static struct task *do_folder(struct task *task, char *listing, char *buffer) {
    const mode_t made = 0755;
    struct task *mine = NULL;
    struct stat stat;
    int from = open_folder(source_root, task->path), to = -1;
    if (!deleting) {
        to = open_folder(target_root, task->path);
        check(fstat(from, &stat), task->path);
    }
    ssize_t size;
    while ((size = check(getdents64(from, listing, LISTING), task->path)) > 0) {
        struct dirent64 *entry;
        for (char *at = listing; at < listing + size; at += entry->d_reclen) {
            entry = (struct dirent64 *)at;
            const char *name = entry->d_name;
            if (!strcmp(name, ".") || !strcmp(name, ".."))
                continue;
            int kind = kind_of(from, entry);
            if (kind == DT_DIR) {
                if (deleting)
                    __atomic_add_fetch(&task->pending, 1, __ATOMIC_RELAXED);
                else
                    check(mkdirat(to, name, made), name);
                struct task *child = new_task(task, name);
                if (mine)
                    push(mine);
                mine = child;
            } else if (deleting) {
                check(unlinkat(from, name, 0), name);
            } else if (kind == DT_REG) {
                copy_file(task, from, to, name, buffer);
            } else {
                copy_special(from, to, name);
            }
        }
    }
    if (deleting) {
        close(from);
        leave(task);
    } else {
        copy_metadata(from, to, &stat, made);
        close(from);
        close(to);
        free(task);
    }
    return mine;
}

static void *work(void *unused) {
    char *buffer = need(aligned_alloc(4096, BUFFER)), *listing = need(malloc(LISTING));
    struct task *task = pop();
    while (task) {
        struct task *mine = do_folder(task, listing, buffer);
        task = mine ? mine : pop();
    }
    return unused;
}

int main(int count, char **arguments) {
    const char *usage = "usage: limit cp [-jN] SOURCE TARGET | limit rm [-jN] PATH\n";
    char **argument = arguments + 1;
    const char *verb = *argument ? *argument++ : "";
    if (*argument && !strncmp(*argument, "-j", 2))
        workers = atoi(*argument++ + 2);
    deleting = !strcmp(verb, "rm");
    bool known = deleting || !strcmp(verb, "cp");
    if (!known || arguments + count - argument != (deleting ? 1 : 2) || workers < 1 || workers > MOST_WORKERS) {
        fputs(usage, stderr);
        return 2;
    }
    umask(0);
    user = geteuid();
    group = getegid();
    source_root = open_folder(AT_FDCWD, argument[0]);
    if (!deleting) {
        check(mkdir(argument[1], 0755), argument[1]);
        target_root = open_folder(AT_FDCWD, argument[1]);
    }
    struct task *root = need(calloc(1, sizeof *root + 2));
    *root = (struct task){.pending = 1};
    strcpy(root->path, ".");
    push(root);

    pthread_t others[MOST_WORKERS];
    busy = workers;
    for (int i = 1; i < workers; i++)
        if ((errno = pthread_create(&others[i], NULL, work, NULL)))
            die("pthread_create");
    work(NULL);
    for (int i = 1; i < workers; i++)
        pthread_join(others[i], NULL);
    if (deleting)
        check(rmdir(argument[0]), argument[0]);
    return 0;
}
