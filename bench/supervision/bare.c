/* The least that a supervisor can do: a pidfd for each child, poll, posix_spawn.
 *
 *     bare COUNT PROGRAM */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void must(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static posix_spawnattr_t clean;

static pid_t start(char *program, struct pollfd *watch) {
    char *const argv[] = {program, NULL};
    pid_t pid;
    errno = posix_spawn(&pid, program, NULL, &clean, argv, environ);
    must(errno == 0, program);
    watch->fd = (int)syscall(SYS_pidfd_open, pid, 0);
    must(watch->fd >= 0, "pidfd_open");
    watch->events = POLLIN;
    return pid;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: bare COUNT PROGRAM\n");
        return 2;
    }
    int count = atoi(argv[1]);
    char *program = argv[2];
    struct pollfd *watches = calloc((size_t)count + 1, sizeof *watches);
    pid_t *pids = calloc((size_t)count, sizeof *pids);
    must(watches != NULL && pids != NULL, "calloc");

    sigset_t none, term;
    sigemptyset(&none);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    must(sigprocmask(SIG_BLOCK, &term, NULL) == 0, "sigprocmask");
    watches[count].fd = signalfd(-1, &term, SFD_CLOEXEC);
    watches[count].events = POLLIN;
    must(watches[count].fd >= 0, "signalfd");
    posix_spawnattr_init(&clean);
    posix_spawnattr_setsigmask(&clean, &none);
    posix_spawnattr_setflags(&clean, POSIX_SPAWN_SETSIGMASK);

    for (int i = 0; i < count; i++) {
        pids[i] = start(program, &watches[i]);
    }
    while (watches[count].revents == 0) {
        must(poll(watches, (nfds_t)count + 1, -1) >= 0 || errno == EINTR, "poll");
        for (int i = 0; i < count; i++) {
            if (watches[i].revents != 0) {
                must(waitpid(pids[i], NULL, 0) == pids[i], "waitpid");
                close(watches[i].fd);
                pids[i] = start(program, &watches[i]);
            }
        }
    }
    for (int i = 0; i < count; i++) {
        kill(pids[i], SIGTERM);
        waitpid(pids[i], NULL, 0);
    }
    return 0;
}
