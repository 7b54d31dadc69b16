/* Load for tunnel measurements: one thread, epoll, level-triggered; loopback only.

     load serve ECHO_PORT SINK_PORT              the services behind the tunnel: echo (TCP, UDP) and a counting sink
     load rtt  PORT CONNECTIONS BYTES SECONDS    a message and its echo, over and over, on each connection
     load cps  PORT CONNECTIONS BYTES SECONDS    connect, one message and its echo, close; so many at once
     load hold PORT CONNECTIONS                  open, one echo each, say so, wait for the end of stdin, echo again
     load visit PORT BYTES                       rtt on one connection that stays, for each number of seconds on stdin
     load pour PORT STREAMS SECONDS text|random  bulk to the sink, until all of it has arrived
     load udp  PORT FLOWS BYTES SECONDS WINDOW   datagrams and their echoes, WINDOW of them under way per flow

   Each load ends by printing one JSON object. Times are in microseconds unless the name says otherwise.
   The echo sends what it read at once, so messages must fit a socket buffer. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 512, BUFFER = 1 << 20, PAYLOAD = 4 << 20, MAX_FD = 1 << 20, REPORT = 1 << 20 };
static const double SETTLE_SECONDS = 15; /* nothing at all for so long while connections open: give up */

static char buffer[BUFFER];
static struct epoll_event events[BATCH];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void no_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void watch(int epoll, int operation, int fd, uint32_t interest, uint32_t tag) {
    struct epoll_event event = {.events = interest, .data.u32 = tag};
    if (epoll_ctl(epoll, operation, fd, &event)) die("epoll_ctl");
}

/* ---- latencies ---- */

static struct {
    float *us;
    size_t count, room;
} latencies;

static void note_latency(double seconds) {
    if (latencies.count == latencies.room) {
        latencies.room = latencies.room ? latencies.room * 2 : 1 << 16;
        latencies.us = realloc(latencies.us, latencies.room * sizeof *latencies.us);
        if (!latencies.us) die("realloc");
    }
    latencies.us[latencies.count++] = seconds * 1e6;
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void sort_latencies(void) {
    if (latencies.count) qsort(latencies.us, latencies.count, sizeof *latencies.us, by_value);
}

static double percentile(double share) {
    return latencies.count ? latencies.us[(size_t)(share * (latencies.count - 1))] : 0;
}

/* ---- serve ---- */

static uint64_t sunk[MAX_FD]; /* by fd: bytes a sink connection brought */
static char is_sink[MAX_FD];

static int bound(int kind, int port) {
    struct sockaddr_in address = loopback(port);
    int on = 1, fd = socket(AF_INET, kind | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (void *)&address, sizeof address)) die("bind");
    if (kind == SOCK_STREAM && listen(fd, 65535)) die("listen");
    return fd;
}

static void accept_all(int epoll, int listener, int sinks) {
    int fd;
    while ((fd = accept4(listener, 0, 0, 0)) >= 0) {
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        no_delay(fd);
        is_sink[fd] = sinks;
        sunk[fd] = 0;
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, fd);
    }
}

static void echo_datagrams(int fd) {
    for (int i = 0; i < 256; i++) {
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        ssize_t size = recvfrom(fd, buffer, 65536, 0, (void *)&from, &length);
        if (size < 0) return;
        sendto(fd, buffer, size, 0, (void *)&from, length);
    }
}

static int send_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        data += sent;
        size -= sent;
    }
    return 1;
}

/* Tells the visitor how much came, at every REPORT bytes. Not at the end of the stream:
   frp passes no half-closed connections on, so a count behind the end would be lost. */
static int sink(int fd, size_t size) {
    uint64_t before = sunk[fd], total = sunk[fd] += size, report = htobe64(total);
    return before / REPORT == total / REPORT || send_all(fd, (char *)&report, sizeof report);
}

static void serve_connection(int fd) {
    ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    if (size > 0 && (is_sink[fd] ? sink(fd, size) : send_all(fd, buffer, size))) return;
    close(fd);
}

static void serve(int echo_port, int sink_port) {
    int epoll = epoll_create1(0), room = 8 << 20;
    int echo = bound(SOCK_STREAM, echo_port), counting = bound(SOCK_STREAM, sink_port);
    int datagrams = bound(SOCK_DGRAM, echo_port);
    setsockopt(datagrams, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    watch(epoll, EPOLL_CTL_ADD, echo, EPOLLIN, echo);
    watch(epoll, EPOLL_CTL_ADD, counting, EPOLLIN, counting);
    watch(epoll, EPOLL_CTL_ADD, datagrams, EPOLLIN, datagrams);
    for (;;) {
        int count = epoll_wait(epoll, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.u32;
            if (fd == echo || fd == counting)
                accept_all(epoll, fd, fd == counting);
            else if (fd == datagrams)
                echo_datagrams(fd);
            else
                serve_connection(fd);
        }
    }
}

/* ---- rtt, cps, hold: connections that send a message and wait for its echo ---- */

enum kind { RTT, CPS, HOLD };
enum state { CONNECTING, WAITING, ECHOED, FAILED };

struct connection {
    int fd;
    enum state state;
    int received;
    double began;
};

static struct {
    enum kind kind;
    struct sockaddr_in target;
    int epoll, count, bytes;
    int opened;            /* connections started so far */
    int up, failed;        /* how many of the first `count` had their first echo, or never will */
    long echoes, errors;
    double measured_since; /* 0 until all are up: what came before is warming up */
    struct connection *connections;
    char *message;
} run;

static void dial(int index) {
    struct connection *c = &run.connections[index];
    *c = (struct connection){.began = now(), .state = CONNECTING};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    no_delay(c->fd);
    if (connect(c->fd, (void *)&run.target, sizeof run.target) && errno != EINPROGRESS) die("connect");
    watch(run.epoll, EPOLL_CTL_ADD, c->fd, EPOLLOUT, index);
}

static void dial_next(void) {
    if (run.opened < run.count) dial(run.opened++);
}

static int say(struct connection *c) {
    if (run.kind != CPS) c->began = now(); /* a new connection's time counts from its dial */
    c->received = 0;
    c->state = WAITING;
    return send(c->fd, run.message, run.bytes, MSG_NOSIGNAL) == run.bytes;
}

static void lost(int index) {
    struct connection *c = &run.connections[index];
    close(c->fd);
    run.errors++;
    c->state = FAILED;
    if (run.kind == HOLD || run.errors > 100000) {
        run.failed++;
        dial_next();
    } else
        dial(index);
}

static int connected(struct connection *c, int index) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) return 0;
    watch(run.epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN, index);
    return say(c);
}

static int echoed(struct connection *c, int index) {
    if (run.measured_since) {
        note_latency(now() - c->began);
        run.echoes++;
    } else
        run.up++;
    if (run.kind == HOLD) {
        c->state = ECHOED;
        dial_next();
        return 1;
    }
    if (run.kind == RTT) return say(c);
    close(c->fd);
    dial(index);
    return 1;
}

static void turn(int timeout_ms) {
    int count = epoll_wait(run.epoll, events, BATCH, timeout_ms);
    for (int i = 0; i < count; i++) {
        int index = events[i].data.u32, good = 1;
        struct connection *c = &run.connections[index];
        if (c->state == CONNECTING)
            good = connected(c, index);
        else if (c->state == WAITING || c->state == ECHOED) {
            ssize_t size = recv(c->fd, buffer, sizeof buffer, 0);
            if (size > 0 && c->state == WAITING) {
                c->received += size;
                if (c->received >= run.bytes) good = echoed(c, index);
            } else
                good = size < 0 && errno == EAGAIN;
        }
        if (!good) lost(index);
    }
}

static void prepare(enum kind kind, int port, int count, int bytes) {
    run.kind = kind;
    run.target = loopback(port);
    run.epoll = epoll_create1(0);
    run.count = count;
    run.bytes = bytes;
    run.connections = calloc(count, sizeof *run.connections);
    run.message = malloc(bytes);
    if (!run.connections || !run.message) die("memory");
    memset(run.message, 'x', bytes);
}

/* Returns once every connection had an echo, or nothing has happened for a while. */
static void settle(int at_once) {
    double last = now();
    int before = 0;
    while (run.opened < at_once) dial_next();
    while (run.up + run.failed < run.count && now() - last < SETTLE_SECONDS) {
        turn(100);
        if (run.up + run.failed != before) last = now();
        before = run.up + run.failed;
    }
}

static int exchange(enum kind kind, int port, int count, int bytes, double seconds) {
    prepare(kind, port, count, bytes);
    settle(count);
    if (run.up < count) {
        fprintf(stderr, "only %d of %d connections had an echo\n", run.up, count);
        return 1;
    }
    double since = now();
    run.measured_since = since;
    run.errors = 0;
    while (now() - since < seconds) turn(100);
    double took = now() - since;
    sort_latencies();
    printf("{\"per_s\": %.1f, \"count\": %ld, \"errors\": %ld, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", run.echoes / took,
           run.echoes, run.errors, percentile(.5), percentile(.99));
    return 0;
}

/* Prints a line for each measurement: of one connection, which was there before the first. */
static int visit(int port, int bytes) {
    char line[64];
    prepare(RTT, port, 1, bytes);
    settle(1);
    while (run.up && fgets(line, sizeof line, stdin)) {
        run.measured_since = run.up = run.errors = run.echoes = latencies.count = 0;
        while (!run.up) turn(100); /* the echo that has waited since the last measurement */
        double since = run.measured_since = now(), took;
        while ((took = now() - since) < atof(line)) turn(100);
        sort_latencies();
        printf("{\"per_s\": %.1f, \"errors\": %ld, \"p50_us\": %.1f, \"p99_us\": %.1f, \"worst_us\": %.1f}\n",
               run.echoes / took, run.errors, percentile(.5), percentile(.99), percentile(1));
        fflush(stdout);
    }
    return !run.up;
}

/* Returns whether a held connection still carries a message and its echo. */
static int alive(struct connection *c) {
    struct timeval patience = {.tv_sec = 5};
    fcntl(c->fd, F_SETFL, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return say(c) && recv(c->fd, buffer, run.bytes, MSG_WAITALL) == run.bytes;
}

static int hold(int port, int count) {
    double began = now();
    int still = 0, given_up = 0;
    prepare(HOLD, port, count, 16);
    settle(count < 100 ? count : 100);
    printf("{\"held\": %d, \"errors\": %ld, \"seconds\": %.3f}\n", run.up, run.errors, now() - began);
    fflush(stdout);
    while (read(0, buffer, sizeof buffer) > 0) continue;
    /* Each silent one costs its patience: enough is known after three. */
    for (int i = 0; i < count && given_up < 3; i++)
        if (run.connections[i].state == ECHOED) alive(&run.connections[i]) ? still++ : given_up++;
    printf("{\"alive\": %d}\n", still);
    return 0;
}

/* ---- pour ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* Lines of a web server's log: what compresses well, but not endlessly. */
static void fill_text(char *payload) {
    static const char *paths[] = {"/", "/index.html", "/api/v1/orders", "/static/app.js", "/login", "/images/logo.png"};
    size_t used = 0;
    while (used + 256 < PAYLOAD) {
        uint64_t r = next_random();
        used += sprintf(payload + used,
                        "10.%d.%d.%d - - [%02d/Mar/2026:%02d:%02d:%02d +0000] \"GET %s?id=%x HTTP/1.1\" %d %d \"-\" \"curl/7.88.1\"\n",
                        (int)(r & 15), (int)(r >> 4 & 255), (int)(r >> 12 & 255), (int)(r >> 20 & 15) + 1,
                        (int)(r >> 24 & 15), (int)(r >> 28) & 31, (int)(r >> 33) & 31, paths[(r >> 38) % 6],
                        (unsigned)(r >> 40) & 0xffffff, (r >> 62) ? 200 : 404, (int)(r >> 44 & 0xffff));
    }
    memset(payload + used, '\n', PAYLOAD - used);
}

static void fill_random(char *payload) {
    for (size_t i = 0; i < PAYLOAD; i += 8) {
        uint64_t r = next_random();
        memcpy(payload + i, &r, 8);
    }
}

struct stream {
    int fd, held; /* held: bytes of an unfinished report */
    uint64_t sent, arrived;
    char report[8];
};

static int pour_some(struct stream *s, const char *payload, int stopping) {
    size_t at = s->sent % PAYLOAD, size = PAYLOAD - at < 262144 ? PAYLOAD - at : 262144;
    size_t to_report = REPORT - s->sent % REPORT;
    if (stopping && s->sent % REPORT == 0) return 1;
    if (size > to_report) size = to_report; /* so that a stream can end where a report is due */
    ssize_t sent = send(s->fd, payload + at, size, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    s->sent += sent;
    return 1;
}

static int read_reports(struct stream *s) {
    ssize_t size = recv(s->fd, s->report + s->held, sizeof s->report - s->held, 0);
    if (size <= 0) return size < 0 && errno == EAGAIN;
    s->held += size;
    if (s->held == sizeof s->report) {
        uint64_t total;
        memcpy(&total, s->report, sizeof total);
        s->arrived = be64toh(total);
        s->held = 0;
    }
    return 1;
}

static void open_streams(struct stream *streams, int count, int epoll, int port) {
    struct sockaddr_in target = loopback(port);
    for (int i = 0; i < count; i++) {
        streams[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(streams[i].fd, (void *)&target, sizeof target)) die("connect");
        fcntl(streams[i].fd, F_SETFL, O_NONBLOCK);
        watch(epoll, EPOLL_CTL_ADD, streams[i].fd, EPOLLIN | EPOLLOUT, i);
    }
}

/* One turn; returns how many streams are over: all they sent has arrived, and no more will come. */
static int pour_turn(struct stream *streams, int count, int epoll, const char *payload, int stopping) {
    int over = 0, ready = epoll_wait(epoll, events, BATCH, 50);
    for (int i = 0; i < ready; i++) {
        uint32_t index = events[i].data.u32, what = events[i].events;
        struct stream *s = &streams[index];
        int good = !(what & EPOLLIN) || read_reports(s);
        if (good && what & EPOLLOUT) good = pour_some(s, payload, stopping);
        if (!good) {
            fprintf(stderr, "a stream was cut after %llu bytes\n", (unsigned long long)s->sent);
            exit(1);
        }
        if (stopping && s->sent % REPORT == 0) watch(epoll, EPOLL_CTL_MOD, s->fd, EPOLLIN, index);
    }
    for (int i = 0; i < count; i++) over += stopping && streams[i].sent % REPORT == 0 && streams[i].arrived == streams[i].sent;
    return over;
}

static int pour(int port, int count, double seconds, const char *kind) {
    int epoll = epoll_create1(0), over = 0;
    struct stream *streams = calloc(count, sizeof *streams);
    char *payload = malloc(PAYLOAD);
    if (!streams || !payload) die("memory");
    strcmp(kind, "text") ? fill_random(payload) : fill_text(payload);
    open_streams(streams, count, epoll, port);
    double began = now(), took;
    while ((took = now() - began) < seconds + SETTLE_SECONDS && over < count)
        over = pour_turn(streams, count, epoll, payload, took >= seconds);
    uint64_t sent = 0, arrived = 0;
    for (int i = 0; i < count; i++) {
        sent += streams[i].sent;
        arrived += streams[i].arrived;
    }
    if (over < count) {
        fprintf(stderr, "%llu bytes were sent, %llu arrived\n", (unsigned long long)sent, (unsigned long long)arrived);
        return 1;
    }
    printf("{\"gbit_s\": %.4f, \"bytes\": %llu}\n", arrived * 8 / took / 1e9, (unsigned long long)arrived);
    return 0;
}

/* ---- udp ---- */

static long udp_sent;

static void send_datagram(int fd, char *datagram, int bytes) {
    double t = now();
    memcpy(datagram, &t, sizeof t); /* the echo brings it back */
    if (send(fd, datagram, bytes, 0) > 0) udp_sent++;
}

static int udp(int port, int flows, int bytes, double seconds, int window) {
    const double silence = 0.25; /* then the window counts as lost and is sent anew */
    struct sockaddr_in target = loopback(port);
    int epoll = epoll_create1(0), *fds = calloc(flows, sizeof *fds);
    double *heard = calloc(flows, sizeof *heard), began = now(), took;
    char *datagram = calloc(1, bytes);
    for (int i = 0; i < flows; i++) {
        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (connect(fds[i], (void *)&target, sizeof target)) die("connect");
        watch(epoll, EPOLL_CTL_ADD, fds[i], EPOLLIN, i);
        heard[i] = -1;
    }
    while ((took = now() - began) < seconds) {
        for (int i = 0; i < flows; i++)
            if (took - heard[i] > silence) {
                heard[i] = took;
                for (int k = 0; k < window; k++) send_datagram(fds[i], datagram, bytes);
            }
        int count = epoll_wait(epoll, events, BATCH, 50);
        for (int j = 0; j < count; j++) {
            int i = events[j].data.u32;
            while (recv(fds[i], buffer, sizeof buffer, 0) == bytes) {
                double t;
                memcpy(&t, buffer, sizeof t);
                note_latency(now() - t);
                heard[i] = now() - began;
                send_datagram(fds[i], datagram, bytes);
            }
        }
    }
    long under_way = (long)flows * window, lost_count = udp_sent - (long)latencies.count - under_way;
    sort_latencies();
    printf("{\"per_s\": %.1f, \"count\": %zu, \"lost_pct\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           latencies.count / took, latencies.count, lost_count > 0 ? 100.0 * lost_count / udp_sent : 0, percentile(.5),
           percentile(.99));
    return latencies.count == 0;
}

int main(int argc, char **argv) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    const char *what = argc > 1 ? argv[1] : "";
    int port = argc > 2 ? atoi(argv[2]) : 0, count = argc > 3 ? atoi(argv[3]) : 0;
    if (argc == 4 && !strcmp(what, "serve")) serve(port, count);
    if (argc == 6 && !strcmp(what, "rtt")) return exchange(RTT, port, count, atoi(argv[4]), atof(argv[5]));
    if (argc == 6 && !strcmp(what, "cps")) return exchange(CPS, port, count, atoi(argv[4]), atof(argv[5]));
    if (argc == 4 && !strcmp(what, "hold")) return hold(port, count);
    if (argc == 4 && !strcmp(what, "visit")) return visit(port, count);
    if (argc == 6 && !strcmp(what, "pour")) return pour(port, count, atof(argv[4]), argv[5]);
    if (argc == 7 && !strcmp(what, "udp")) return udp(port, count, atoi(argv[4]), atof(argv[5]), atoi(argv[6]));
    fprintf(stderr, "load serve|rtt|cps|hold|visit|pour|udp ...: see the head of load.c\n");
    return 2;
}
