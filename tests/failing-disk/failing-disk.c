/*
 * failing-disk: runs a program on a disk that fails when it is told to.
 *
 *     failing-disk RULES JOURNAL PREFIX PROGRAM [ARGUMENT...]
 *
 * The program's calls that change files below PREFIX, or read them, are held by the kernel (seccomp's user notification)
 * until this process has said what becomes of them. It works at the boundary of the kernel, so that it makes no difference
 * how a program calls: by the C library, by instructions of its own, or from a virtual machine.
 *
 * This process becomes the program and keeps its process id; a child of it judges the calls, and ends with the program.
 *
 * RULES is a file with a rule a line, read again whenever it has changed:
 *
 *     KIND PATTERN FIRST COUNT EFFECT
 *
 * KIND is write, sync, rename, resize, reserve, create, open, remove, mkdir, read, or any. PATTERN is a glob that the path
 * must match (of a rename the old or the new one). The call that is the FIRST of those that match (counted from 1, since the
 * rule stands in the file) and the COUNT - 1 after it have the effect; a COUNT of 0 means for ever. EFFECT is one of
 *
 *     EIO, ENOSPC, EROFS, EACCES   the call fails, nothing is done
 *     short                        a write does one half, and says so
 *     half-EIO, half-ENOSPC        a write does one half, and fails
 *     torn                         a write does one half, and the program is killed
 *     kill                         the program is killed before the call
 *     slow-N                       the call waits N milliseconds, as do all that come meanwhile
 *
 * JOURNAL gets a line for each call: when it came (microseconds of the wall clock), its kind, its path, and what became of it
 * when that was not what the program wanted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "failing-disk knows the system calls of x86-64 and aarch64 only"
#endif

#define RULES_MAX 64
#define HALF_MAX (1 << 20)
#define VECTORS_MAX 64

/* How the path of a call is found. */
enum where { BY_DESCRIPTOR, BY_PATH, BY_DIRECTORY, BY_TWO_PATHS, BY_TWO_DIRECTORIES, BY_SECOND_DESCRIPTOR };

/* How the bytes of a write are found. */
enum form { NO_BYTES, BUFFER, BUFFER_AT, VECTORS, VECTORS_AT };

struct call {
    int number;
    const char *kind;
    enum where where;
    enum form form;
};

static const struct call CALLS[] = {
    { SYS_write, "write", BY_DESCRIPTOR, BUFFER },
    { SYS_pwrite64, "write", BY_DESCRIPTOR, BUFFER_AT },
    { SYS_writev, "write", BY_DESCRIPTOR, VECTORS },
    { SYS_pwritev, "write", BY_DESCRIPTOR, VECTORS_AT },
    { SYS_pwritev2, "write", BY_DESCRIPTOR, VECTORS_AT },
    { SYS_fsync, "sync", BY_DESCRIPTOR, NO_BYTES },
    { SYS_fdatasync, "sync", BY_DESCRIPTOR, NO_BYTES },
    { SYS_syncfs, "sync", BY_DESCRIPTOR, NO_BYTES },
    { SYS_ftruncate, "resize", BY_DESCRIPTOR, NO_BYTES },
    { SYS_fallocate, "reserve", BY_DESCRIPTOR, NO_BYTES },
    { SYS_openat, "open", BY_DIRECTORY, NO_BYTES },
    { SYS_renameat2, "rename", BY_TWO_DIRECTORIES, NO_BYTES },
    { SYS_unlinkat, "remove", BY_DIRECTORY, NO_BYTES },
    { SYS_mkdirat, "mkdir", BY_DIRECTORY, NO_BYTES },
    { SYS_pread64, "read", BY_DESCRIPTOR, NO_BYTES },
    { SYS_preadv, "read", BY_DESCRIPTOR, NO_BYTES },
    { SYS_sendfile, "read", BY_SECOND_DESCRIPTOR, NO_BYTES },
    { SYS_copy_file_range, "read", BY_DESCRIPTOR, NO_BYTES },
#ifdef SYS_renameat
    { SYS_renameat, "rename", BY_TWO_DIRECTORIES, NO_BYTES },
#endif
#ifdef SYS_rename
    { SYS_open, "open", BY_PATH, NO_BYTES },
    { SYS_creat, "create", BY_PATH, NO_BYTES },
    { SYS_rename, "rename", BY_TWO_PATHS, NO_BYTES },
    { SYS_unlink, "remove", BY_PATH, NO_BYTES },
    { SYS_rmdir, "remove", BY_PATH, NO_BYTES },
    { SYS_mkdir, "mkdir", BY_PATH, NO_BYTES },
#endif
};
#define CALLS_COUNT (sizeof CALLS / sizeof *CALLS)

struct rule {
    char kind[16];
    char pattern[PATH_MAX];
    unsigned long first, count, seen;
    char effect[16];
};

/* The judge: what it knows, and whom it judges. */
static struct {
    const char *rules_path, *prefix;
    FILE *journal;
    pid_t program;
    int listener;
    struct stat rules_stat;
    struct rule rules[RULES_MAX];
    int rules_count;
} judge;

static void die(const char *what) {
    fprintf(stderr, "failing-disk: %s: %s\n", what, strerror(errno));
    exit(120);
}

static void read_rules(void) {
    struct stat now;
    if (stat(judge.rules_path, &now) < 0) return;
    if (now.st_ino == judge.rules_stat.st_ino && now.st_mtim.tv_sec == judge.rules_stat.st_mtim.tv_sec
        && now.st_mtim.tv_nsec == judge.rules_stat.st_mtim.tv_nsec)
        return;
    judge.rules_stat = now;
    judge.rules_count = 0;
    FILE *file = fopen(judge.rules_path, "r");
    if (!file) return;
    struct rule *rule = judge.rules;
    while (judge.rules_count < RULES_MAX
           && fscanf(file, "%15s %4095s %lu %lu %15s", rule->kind, rule->pattern, &rule->first, &rule->count, rule->effect) == 5) {
        rule->seen = 0;
        rule = &judge.rules[++judge.rules_count];
    }
    fclose(file);
}

/* Bytes of the program's memory. */
static ssize_t peek(pid_t thread, unsigned long from, void *to, size_t length) {
    struct iovec here = { to, length }, there = { (void *)from, length };
    return process_vm_readv(thread, &here, 1, &there, 1, 0);
}

/* A text of the program's memory: it may end just before a page that is not there. */
static int peek_text(pid_t thread, unsigned long from, char *to, size_t room) {
    size_t have = 0;
    while (have + 1 < room) {
        size_t page_rest = 4096 - (from + have) % 4096, part = page_rest < room - 1 - have ? page_rest : room - 1 - have;
        ssize_t got = peek(thread, from + have, to + have, part);
        if (got <= 0) return -1;
        if (memchr(to + have, 0, got)) return 0;
        have += got;
    }
    return -1;
}

static int path_of_link(const char *link, char *path) {
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return -1;
    path[length] = 0;
    return 0;
}

static int path_of_descriptor(pid_t thread, int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%d", thread, descriptor);
    return path_of_link(link, path);
}

static int path_at(pid_t thread, int directory, unsigned long text, char *path) {
    char name[PATH_MAX], base[PATH_MAX], link[64];
    if (peek_text(thread, text, name, sizeof name) < 0) return -1;
    if (name[0] == '/') {
        strcpy(path, name);
        return 0;
    }
    snprintf(link, sizeof link, "/proc/%d/cwd", thread);
    if ((directory == AT_FDCWD ? path_of_link(link, base) : path_of_descriptor(thread, directory, base)) < 0) return -1;
    if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return -1;
    return 0;
}

static int paths_of(const struct call *call, const struct seccomp_notif *notice, char *path, char *second) {
    const unsigned long long *argument = notice->data.args;
    pid_t thread = notice->pid;
    second[0] = 0;
    switch (call->where) {
    case BY_DESCRIPTOR: return path_of_descriptor(thread, argument[0], path);
    case BY_SECOND_DESCRIPTOR: return path_of_descriptor(thread, argument[1], path);
    case BY_PATH: return path_at(thread, AT_FDCWD, argument[0], path);
    case BY_DIRECTORY: return path_at(thread, argument[0], argument[1], path);
    case BY_TWO_PATHS:
        return path_at(thread, AT_FDCWD, argument[0], path) | path_at(thread, AT_FDCWD, argument[1], second);
    case BY_TWO_DIRECTORIES:
        return path_at(thread, argument[0], argument[1], path) | path_at(thread, argument[2], argument[3], second);
    }
    return -1;
}

/* Opening is creating when it may make the file and there is none yet. */
static const char *kind_of(const struct call *call, const struct seccomp_notif *notice, const char *path) {
    struct stat ignored;
    if (strcmp(call->kind, "open")) return call->kind;
    int flags = call->where == BY_PATH ? notice->data.args[1] : notice->data.args[2];
    return (flags & O_CREAT) && lstat(path, &ignored) < 0 ? "create" : "open";
}

/* The effect that a rule wants; each rule that matches counts the call. */
static const char *effect_of(const char *kind, const char *path, const char *second) {
    const char *effect = NULL;
    for (int i = 0; i < judge.rules_count; i++) {
        struct rule *rule = &judge.rules[i];
        if (strcmp(rule->kind, "any") && strcmp(rule->kind, kind)) continue;
        if (fnmatch(rule->pattern, path, 0) && (!second[0] || fnmatch(rule->pattern, second, 0))) continue;
        rule->seen++;
        if (rule->seen >= rule->first && (!rule->count || rule->seen < rule->first + rule->count)) effect = rule->effect;
    }
    return effect;
}

/* Does the first half of what the program wants to write; how many bytes that were. */
static ssize_t write_half(const struct call *call, const struct seccomp_notif *notice) {
    static char bytes[HALF_MAX];
    const unsigned long long *argument = notice->data.args;
    size_t length = 0;
    if (call->form == BUFFER || call->form == BUFFER_AT) {
        length = argument[2] / 2 < HALF_MAX ? argument[2] / 2 : HALF_MAX;
        if (length && peek(notice->pid, argument[1], bytes, length) != (ssize_t)length) return 0;
    } else {
        struct iovec vectors[VECTORS_MAX];
        size_t count = argument[2] < VECTORS_MAX ? argument[2] : VECTORS_MAX, all = 0;
        if (peek(notice->pid, argument[1], vectors, count * sizeof *vectors) < 0) return 0;
        for (size_t i = 0; i < count; i++) all += vectors[i].iov_len;
        size_t half = all / 2 < HALF_MAX ? all / 2 : HALF_MAX;
        for (size_t i = 0; i < count && length < half; i++) {
            size_t part = vectors[i].iov_len < half - length ? vectors[i].iov_len : half - length;
            if (part && peek(notice->pid, (unsigned long)vectors[i].iov_base, bytes + length, part) < 0) return 0;
            length += part;
        }
    }
    /* The very file that is open in the program, also when its name is gone or another's; with the program's own position. */
    int process = syscall(SYS_pidfd_open, judge.program, 0);
    int file = process < 0 ? -1 : syscall(SYS_pidfd_getfd, process, (int)argument[0], 0);
    if (file < 0) die("a descriptor of the program can't be had");
    int has_position = call->form == BUFFER_AT || call->form == VECTORS_AT;
    ssize_t written = has_position ? pwrite(file, bytes, length, argument[3]) : write(file, bytes, length);
    close(file);
    close(process);
    return written < 0 ? 0 : written;
}

static int error_of(const char *effect) {
    if (strstr(effect, "EIO")) return EIO;
    if (strstr(effect, "ENOSPC")) return ENOSPC;
    if (strstr(effect, "EROFS")) return EROFS;
    if (strstr(effect, "EACCES")) return EACCES;
    return 0;
}

/* Judges one call. */
static void answer(const struct seccomp_notif *notice, struct seccomp_notif_resp *response) {
    char path[PATH_MAX], second[PATH_MAX];
    const struct call *call = NULL;
    response->id = notice->id;
    response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    for (size_t i = 0; i < CALLS_COUNT; i++)
        if (CALLS[i].number == notice->data.nr) call = &CALLS[i];
    if (!call || paths_of(call, notice, path, second) < 0) return;
    if (strncmp(path, judge.prefix, strlen(judge.prefix))) return;
    const char *kind = kind_of(call, notice, path);
    read_rules();
    const char *effect = effect_of(kind, path, second);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(judge.journal, "%lld %s %s%s%s%s%s\n", now.tv_sec * 1000000LL + now.tv_nsec / 1000, kind, path,
            second[0] ? " to " : "", second, effect ? ": " : "", effect ? effect : "");
    if (!effect) return;
    if (!strncmp(effect, "slow-", 5)) {
        usleep((useconds_t)atoi(effect + 5) * 1000);
        return;
    }
    ssize_t written = 0;
    int halves = !strcmp(effect, "short") || !strncmp(effect, "half", 4) || !strcmp(effect, "torn");
    if (halves && call->form != NO_BYTES) written = write_half(call, notice);
    if (!strcmp(effect, "kill") || !strcmp(effect, "torn")) {
        kill(judge.program, SIGKILL);
    } else if (error_of(effect)) {
        response->flags = 0;
        response->error = -error_of(effect);
    } else if (halves && written > 0) {
        response->flags = 0;
        response->val = written;
    }
}

static void serve(void) {
    struct seccomp_notif *notice = calloc(1, 4096);
    struct seccomp_notif_resp *response = calloc(1, 4096);
    for (;;) {
        struct pollfd wait = { judge.listener, POLLIN, 0 };
        if (poll(&wait, 1, -1) < 0 && errno != EINTR) die("poll");
        if (wait.revents & POLLHUP) exit(0);
        if (!(wait.revents & POLLIN)) continue;
        memset(notice, 0, 4096);
        memset(response, 0, 4096);
        if (ioctl(judge.listener, SECCOMP_IOCTL_NOTIF_RECV, notice) < 0) {
            if (errno == EINTR || errno == ENOENT) continue;
            die("receiving a call");
        }
        answer(notice, response);
        /* A thread that was killed meanwhile needs no answer. */
        if (ioctl(judge.listener, SECCOMP_IOCTL_NOTIF_SEND, response) < 0 && errno != ENOENT) die("answering a call");
    }
}

/* Has the kernel ask about the calls above; gives the descriptor that it asks by. */
static int ask_about_calls(void) {
    struct sock_filter filter[CALLS_COUNT + 6];
    size_t count = 0;
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS_COUNT; i++, count++)
        filter[count] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALLS[i].number, CALLS_COUNT - i, 0);
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    struct sock_fprog program = { count, filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) die("no new privileges");
    int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0) die("the kernel does not let calls be held (seccomp user notification, Linux 5.5)");
    return listener;
}

/* The descriptor goes as a message's companion. The filter is in force already, and must not ask about this. */
static void send_listener(int channel, int listener) {
    char byte = 0, space[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &listener, sizeof listener);
    if (sendmsg(channel, &message, 0) < 0) die("sending the listener");
}

static int receive_listener(int channel) {
    char byte, space[CMSG_SPACE(sizeof(int))];
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
    int listener;
    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) <= 0 || !CMSG_FIRSTHDR(&message)) exit(120);
    memcpy(&listener, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof listener);
    return listener;
}

int main(int count, char **arguments) {
    if (count < 5) {
        fprintf(stderr, "usage: failing-disk RULES JOURNAL PREFIX PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    int channel[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) < 0) die("socketpair");
    judge.program = getpid();
    judge.rules_path = arguments[1];
    judge.prefix = arguments[3];
    judge.journal = fopen(arguments[2], "a");
    if (!judge.journal) die(arguments[2]);
    setvbuf(judge.journal, NULL, _IOLBF, 0);
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        /* In a group of its own: a Ctrl-C for the program must let it be judged to its end. */
        setpgid(0, 0);
        close(channel[1]);
        judge.listener = receive_listener(channel[0]);
        serve();
    }
    /* Where a process may look only into those that it started, the judge needs leave to look into the program. */
    prctl(PR_SET_PTRACER, child, 0, 0, 0);
    fclose(judge.journal);
    int listener = ask_about_calls();
    send_listener(channel[1], listener);
    close(listener);
    execvp(arguments[4], arguments + 4);
    die(arguments[4]);
}
