/* A server of redis for the examples, at a Unix socket in a folder of its own. For C and C++; a program of yours has a server already. */
#ifndef REDIS_SERVER_H
#define REDIS_SERVER_H

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

typedef struct {
    pid_t pid;
    char folder[64], socket[96], url[128];
} redis_server;

static int redis_server_listens(const redis_server *server) {
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), listens;
    if (fd < 0) return 0;
    memset(&at, 0, sizeof at);
    at.sun_family = AF_UNIX;
    strcpy(at.sun_path, server->socket);
    listens = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return listens;
}

/* Returns when it listens. */
static void redis_server_run(redis_server *server) {
    /* It ends with this process, however that ends. */
    const char *argv[] = {"setpriv", "--pdeathsig", "KILL", "redis-server", "--port", "0", "--save", "", "--appendonly", "no", "--dir", server->folder,
                          "--logfile", "/dev/null", "--unixsocket", server->socket, NULL};
    if (posix_spawnp(&server->pid, argv[0], NULL, NULL, (char *const *)argv, environ) != 0) {
        fprintf(stderr, "redis-server cannot be started\n");
        rmdir(server->folder);
        exit(1);
    }
    for (int tries = 0; !redis_server_listens(server); tries++) {
        struct timespec pause = {0, 2000000};
        if (tries > 30000) exit(1);
        nanosleep(&pause, NULL);
    }
}

static void redis_server_start(redis_server *server) {
    strcpy(server->folder, "/tmp/coop-redis-XXXXXX");
    if (mkdtemp(server->folder) == NULL) exit(1);
    snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->folder);
    snprintf(server->url, sizeof server->url, "unix://%s", server->socket);
    redis_server_run(server);
}

static void redis_server_stop(redis_server *server) {
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    unlink(server->socket);
    rmdir(server->folder);
}

#endif
