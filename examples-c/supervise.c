/* Two programs and a function, supervised: their events are printed, one program is ended by kill -9 and comes back, and all
 * of them end in order. A service of a real program would wait in coop_host_wait, until SIGTERM. */
#define _GNU_SOURCE
#include <coop.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(coop_status status, const char *what) {
    if (status != COOP_OK) {
        fprintf(stderr, "%s: %s\n", what, coop_last_error());
        exit(1);
    }
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int first_pid, is_back;

/* On a thread of the observer's own, one event after another. */
static void print_event(void *arg, const coop_service_event *event) {
    (void)arg;
    printf("%llu %s, run %llu: %s\n", (unsigned long long)event->number, event->path.data,
           (unsigned long long)event->run, event->text.data);
    pthread_mutex_lock(&lock);
    if (event->kind == COOP_SERVICE_SPAWNED && strcmp(event->path.data, "root/sleeper") == 0) {
        if (event->run == 1) first_pid = event->pid;
        if (event->run == 2) is_back = 1;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
}

/* A service that is a function: it works until it is told to stop. */
static void count(void *arg, coop_service_context *context) {
    int *turns = arg;
    while (coop_service_context_wait_stopping(context, 10 * 1000 * 1000) == COOP_E_TIMEOUT) ++*turns;
}

static void add_program(coop_host *host, const char *id, const char *const *argv) {
    coop_command command = {.size = sizeof command, .argv = argv};
    coop_service_options service = {.size = sizeof service, .id = id, .id_length = strlen(id), .command = &command};
    must(coop_supervisor_add(host, 0, &service, NULL), id);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    coop_host *host = NULL;
    must(coop_host_new(NULL, &host), "coop_host_new");

    coop_service_event_callback observer = {print_event, NULL, NULL};
    must(coop_host_observe(host, NULL, observer, NULL), "coop_host_observe");

    add_program(host, "sleeper", (const char *const[]){"sleep", "1000", NULL});
    add_program(host, "shell", (const char *const[]){"sh", "-c", "while :; do sleep 1; done", NULL});
    int turns = 0;
    coop_service_options counter = {.size = sizeof counter, .id = "counter", .id_length = 7, .thread = {count, &turns, NULL}};
    must(coop_supervisor_add(host, 0, &counter, NULL), "counter");

    must(coop_host_start(host), "coop_host_start");

    pthread_mutex_lock(&lock);
    while (first_pid == 0) pthread_cond_wait(&changed, &lock);
    kill(first_pid, SIGKILL);
    while (!is_back) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);

    must(coop_host_shutdown(host, COOP_FOREVER), "coop_host_shutdown");
    coop_host_free(host);
    printf("the function has had %d turns\n", turns);
    return 0;
}
