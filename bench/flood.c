/* Strangers at a door, for bench/floods.py: one thread, epoll; loopback only.

     flood KIND PORT CONNECTIONS SOURCES     until the end of stdin

   KIND is what each says: nothing, byte, trickle (one byte a second), yamux (a header), tls (a whole
   handshake). Whoever is sent away comes again at once. SOURCES addresses are used, from 127.0.0.1 on,
   or from FLOOD_SOURCE. Says "up" once all have been there, and one JSON object at the end. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 512, STDIN_TAG = 0xffffffff };
enum state { CONNECTING, SHAKING, STANDING };

struct stranger {
    int fd;
    enum state state;
    int said; /* bytes of the trickle */
    SSL *tls;
};

static const char yamux_header[] = "\0\1\0\1\0\0\0\1\0\0\0\0";
/* A login that is announced as 1000 bytes, and begins as one: it can go on for longer than anybody waits. */
static const char trickle[] = "o\0\0\0\0\0\0\3\350{\"version\":\"0.51.3\",\"hostname\":\"slow\",\"os\":\"linux\",\"arch\":\"amd64\"";

static struct {
    const char *kind;
    int port, epoll, count, sources;
    uint32_t first_source;
    long dialled, greeted, sent_away, refused;
    int standing, most;
    struct stranger *strangers;
    SSL_CTX *tls;
} run;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void watch(int operation, int fd, uint32_t interest, uint32_t tag) {
    struct epoll_event event = {.events = interest, .data.u32 = tag};
    if (epoll_ctl(run.epoll, operation, fd, &event)) die("epoll_ctl");
}

static void dial(uint32_t index) {
    struct stranger *s = &run.strangers[index];
    struct sockaddr_in own = {.sin_family = AF_INET}, door = {.sin_family = AF_INET, .sin_port = htons(run.port)};
    struct linger reset = {.l_onoff = 1};
    int on = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->fd < 0) die("socket");
    s->state = CONNECTING;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset); /* no port is left waiting */
    own.sin_addr.s_addr = htonl(run.first_source + index % run.sources);
    door.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(s->fd, (void *)&own, sizeof own)) die("bind");
    if (connect(s->fd, (void *)&door, sizeof door) && errno != EINPROGRESS) die("connect");
    run.dialled++;
    watch(EPOLL_CTL_ADD, s->fd, EPOLLOUT, index);
}

static void stand(struct stranger *s, uint32_t index) {
    s->state = STANDING;
    s->said = 0;
    run.greeted++;
    if (++run.standing > run.most) run.most = run.standing;
    watch(EPOLL_CTL_MOD, s->fd, EPOLLIN, index);
}

static void leave(uint32_t index) {
    struct stranger *s = &run.strangers[index];
    if (s->state == STANDING) {
        run.standing--;
        run.sent_away++;
    } else
        run.refused++;
    if (s->tls) SSL_free(s->tls);
    s->tls = 0;
    close(s->fd);
    dial(index);
}

static int shake(struct stranger *s, uint32_t index) {
    int done = SSL_connect(s->tls);
    if (done == 1) {
        stand(s, index);
        return 1;
    }
    int why = SSL_get_error(s->tls, done);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return 0;
    watch(EPOLL_CTL_MOD, s->fd, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT, index);
    return 1;
}

static int greet(struct stranger *s, uint32_t index) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) return 0;
    if (!strcmp(run.kind, "tls")) {
        s->state = SHAKING;
        s->tls = SSL_new(run.tls);
        if (!s->tls || !SSL_set_fd(s->tls, s->fd)) die("SSL_new");
        return shake(s, index);
    }
    if (!strcmp(run.kind, "byte")) send(s->fd, "o", 1, MSG_NOSIGNAL);
    if (!strcmp(run.kind, "yamux")) send(s->fd, yamux_header, 12, MSG_NOSIGNAL);
    stand(s, index);
    return 1;
}

static void event(uint32_t index) {
    struct stranger *s = &run.strangers[index];
    char words[4096];
    int good = 1;
    if (s->state == CONNECTING)
        good = greet(s, index);
    else if (s->state == SHAKING)
        good = shake(s, index);
    else {
        ssize_t size = recv(s->fd, words, sizeof words, 0);
        good = size > 0 || (size < 0 && errno == EAGAIN);
    }
    if (!good) leave(index);
}

/* Has a share of the strangers say one byte more; everyone's turn comes once a second. */
static void say_more(double *due, uint32_t *next) {
    while (*due <= now()) {
        struct stranger *s = &run.strangers[*next];
        if (s->state == STANDING) {
            send(s->fd, trickle + s->said, 1, MSG_NOSIGNAL);
            s->said = (s->said + 1) % (sizeof trickle - 1);
        }
        *next = (*next + 1) % run.count;
        *due += 1.0 / run.count;
    }
}

static void report(double began) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    printf("{\"seconds\": %.3f, \"cpu_s\": %.3f, \"dialled\": %ld, \"greeted\": %ld, \"sent_away\": %ld, \"refused\": %ld, "
           "\"standing\": %d, \"most\": %d}\n",
           now() - began, cpu, run.dialled, run.greeted, run.sent_away, run.refused, run.standing, run.most);
}

static void flood(void) {
    static struct epoll_event events[BATCH];
    double began = now(), due = began;
    uint32_t next = 0;
    int told = 0, trickles = !strcmp(run.kind, "trickle");
    for (int i = 0; i < run.count; i++) dial(i);
    for (;;) {
        int count = epoll_wait(run.epoll, events, BATCH, trickles ? 1 : -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == STDIN_TAG) {
                report(began);
                return;
            }
            event(events[i].data.u32);
        }
        if (trickles) say_more(&due, &next);
        if (!told && run.greeted >= run.count) {
            told = 1;
            puts("up");
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv) {
    struct rlimit limit;
    struct in_addr first = {.s_addr = htonl(INADDR_LOOPBACK)};
    const char *source = getenv("FLOOD_SOURCE");
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    if (argc != 5 || (source && !inet_aton(source, &first))) {
        fprintf(stderr, "flood KIND PORT CONNECTIONS SOURCES: see the head of flood.c\n");
        return 2;
    }
    run.kind = argv[1];
    run.port = atoi(argv[2]);
    run.count = atoi(argv[3]);
    run.sources = atoi(argv[4]);
    run.first_source = ntohl(first.s_addr);
    run.epoll = epoll_create1(0);
    run.strangers = calloc(run.count, sizeof *run.strangers);
    run.tls = SSL_CTX_new(TLS_client_method());
    if (!run.strangers || !run.tls) die("memory");
    watch(EPOLL_CTL_ADD, 0, EPOLLIN, STDIN_TAG);
    flood();
    return 0;
}
