/* coop_redis over TLS, to a real server: whose certificate is trusted, and for the name; whose is not; and one that asks its clients for theirs. */
#include "redis.h"

#include <arpa/inet.h>
#include <netinet/in.h>

typedef struct {
    pid_t pid;
    int port;
    char folder[64];
} tls_server;

static int bound(int fd, int port) {
    struct sockaddr_in at;
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_port = htons((uint16_t)port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(fd, (struct sockaddr *)&at, sizeof at);
}

static int free_port(void) {
    struct sockaddr_in at;
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bound(fd, 0) == 0 && getsockname(fd, (struct sockaddr *)&at, &length) == 0);
    close(fd);
    return ntohs(at.sin_port);
}

static int listens(int port) {
    struct sockaddr_in at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), does;
    CHECK(fd >= 0);
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_port = htons((uint16_t)port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    does = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return does;
}

static void run(const char *program, const char *argument) {
    const char *argv[] = {program, argument, NULL};
    pid_t pid;
    int status;
    CHECK(posix_spawn(&pid, program, NULL, NULL, (char *const *)argv, environ) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static const char *file_of(const tls_server *s, const char *name, char *path) {
    sprintf(path, "%s/%s", s->folder, name);
    return path;
}

/* asks: whether it wants its clients to have a certificate. Somebody else may have taken the port: then once more. */
static void start(tls_server *s, const char *asks) {
    strcpy(s->folder, "/tmp/coop-redis-tls-XXXXXX");
    CHECK(mkdtemp(s->folder) != NULL);
    run(COOP_TESTS "/certificates.sh", s->folder);
    for (;;) {
        char port[16], certificate[96], key[96], authority[96];
        s->port = free_port();
        sprintf(port, "%d", s->port);
        const char *argv[] = {"setpriv", "--pdeathsig", "KILL", "redis-server", "--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                              "--dir", s->folder, "--logfile", "/dev/null", "--tls-cert-file", file_of(s, "server.crt", certificate),
                              "--tls-key-file", file_of(s, "server.key", key), "--tls-ca-cert-file", file_of(s, "ca.crt", authority),
                              "--tls-auth-clients", asks, NULL};
        CHECK(posix_spawnp(&s->pid, argv[0], NULL, NULL, (char *const *)argv, environ) == 0);
        for (int tries = 0; waitpid(s->pid, NULL, WNOHANG) == 0; tries++) {
            if (listens(s->port)) return;
            if (tries > 30000) FAIL("redis-server does not listen: .ci/setup installs it");
            short_pause();
        }
    }
}

static void end(tls_server *s) {
    static const char *const files[] = {"ca.crt", "ca.key", "other.crt", "other.key", "server.crt", "server.key", "client.crt", "client.key"};
    char path[96];
    kill(s->pid, SIGKILL);
    CHECK(waitpid(s->pid, NULL, 0) == s->pid);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) CHECK(unlink(file_of(s, files[i], path)) == 0);
    CHECK(rmdir(s->folder) == 0);
}

#define TEXT(options, field, text) ((options).field = (text), (options).field##_length = strlen(text))

static coop_redis_options options_for(void) {
    coop_redis_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

/* Whether there is an answer; else coop_last_error says why not. */
static coop_status answers(coop_event_loop *loop, const tls_server *s, const char *host, const coop_redis_options *options) {
    static const char *const ping[] = {"PING"};
    char url[64];
    coop_redis *redis = NULL;
    coop_redis_reply *reply = NULL;
    sprintf(url, "rediss://%s:%d", host, s->port);
    CHECK_OK(coop_redis_new(loop, options, url, strlen(url), &redis));
    const coop_status status = coop_redis_call(redis, NULL, ping, NULL, 1, &reply);
    if (status == COOP_OK) expect_text(reply, "PONG");
    coop_redis_free(redis);
    return status;
}

static void trusted(coop_event_loop *loop) {
    tls_server s;
    char path[96], pem[4096];
    start(&s, "no");
    coop_redis_options options = options_for();
    TEXT(options, tls_authorities, file_of(&s, "ca.crt", path));
    CHECK_OK(answers(loop, &s, "localhost", &options));
    /* The same, out of memory. */
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    pem[fread(pem, 1, sizeof pem - 1, file)] = '\0';
    fclose(file);
    TEXT(options, tls_authorities, pem);
    CHECK_OK(answers(loop, &s, "localhost", &options));
    /* Another name, unless that is what was asked for. */
    CHECK_SAYS(answers(loop, &s, "127.0.0.1", &options), COOP_E_FAILED, "not for the name \"127.0.0.1\"");
    TEXT(options, tls_server_name, "localhost");
    CHECK_OK(answers(loop, &s, "127.0.0.1", &options));
    /* Another authority; the system's. */
    options = options_for();
    TEXT(options, tls_authorities, file_of(&s, "other.crt", path));
    CHECK_SAYS(answers(loop, &s, "localhost", &options), COOP_E_FAILED, "certificate is not trusted");

    coop_redis *redis = NULL;
    const char url[] = "rediss://localhost";
    TEXT(options, tls_authorities, "/nonexistent.pem");
    CHECK_SAYS(coop_redis_new(loop, &options, url, strlen(url), &redis), COOP_E_OS, "/nonexistent.pem");
    TEXT(options, tls_authorities, "-----BEGIN NOTHING");
    CHECK(coop_redis_new(loop, &options, url, strlen(url), &redis) != COOP_OK);
    options = options_for();
    TEXT(options, tls_key, file_of(&s, "client.key", path));
    CHECK_SAYS(coop_redis_new(loop, &options, url, strlen(url), &redis), COOP_E_INVALID, "without the other");
    CHECK(redis == NULL);
    end(&s);
}

static void asked(coop_event_loop *loop) {
    tls_server s;
    char authority[96], certificate[96], key[96];
    start(&s, "yes");
    coop_redis_options options = options_for();
    TEXT(options, tls_authorities, file_of(&s, "ca.crt", authority));
    CHECK(answers(loop, &s, "localhost", &options) != COOP_OK);
    TEXT(options, tls_certificates, file_of(&s, "client.crt", certificate));
    TEXT(options, tls_key, file_of(&s, "client.key", key));
    CHECK_OK(answers(loop, &s, "localhost", &options));
    end(&s);
}

int main(void) {
    coop_event_loop *loop = new_loop();
    CHECK_OK(coop_event_loop_start(loop));
    trusted(loop);
    asked(loop);
    coop_event_loop_free(loop);
    return 0;
}
