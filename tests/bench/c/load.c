/* Clients of a server, and what they measure, as JSON on one line:
 *
 *   load requests PORT PATH CONNECTIONS SECONDS         one short request after another
 *   load streams PORT PATH CONNECTIONS EVENTS RATE LIMIT   all at once, for LIMIT seconds at most
 *
 * An event is late by the time from when it was due until it was read here.  Linux.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM (256 * 1024)
#define SECOND 1000000000ll
#define STAMP 19

typedef struct {
  int fd, done;
  long events;
  long long asked, first;
  size_t in_len, rest;
  int part; /* of a chunked answer, see below */
  char *in;
} client;

typedef struct {
  long long due;
  float late;
} event;

static int poller, connections;
static char request[2048];
static size_t request_len;
static client *clients;
static event *events;
static float *times;
static long count, failed, room;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double at(const float *sorted, long size, double part) {
  return size ? (double)sorted[(long)((double)(size - 1) * part)] : 0;
}

static void ask(client *c) {
  c->asked = now();
  if (send(c->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len) failed++;
}

static void prepare(const char *path, const char *body) {
  request_len = (size_t)snprintf(request, sizeof request,
                                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: load/1\r\n"
                                 "Accept: */*\r\nAuthorization: Bearer sk-unused\r\n"
                                 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                 path, strlen(body), body);
}

static void connect_all(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  to.sin_port = htons((unsigned short)port);
  poller = epoll_create1(0);
  clients = calloc((size_t)connections, sizeof *clients);
  for (int i = 0; i < connections; i++) {
    client *c = &clients[i];
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    c->in = malloc(ROOM + 1);
    if (connect(c->fd, (void *)&to, sizeof to)) {
      perror("connect");
      exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
  }
}

/* Receive what is there behind what is in ``in``; tell how much, or -1 at the end. */
static ssize_t receive(client *c) {
  ssize_t n = recv(c->fd, c->in + c->in_len, ROOM - c->in_len, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n <= 0) return -1;
  c->in[c->in_len + (size_t)n] = 0;
  return n;
}

enum { HEAD, SIZE, DATA, BEHIND, ENDED };

/* Take head and chunks off the ``n`` bytes that came: each proxy cuts chunks where it likes. */
static void take_off_chunks(client *c, size_t n) {
  char *from = c->in + c->in_len, *to = from, *end = from + n;
  while (from < end && c->part != ENDED) {
    if (c->part == DATA) {
      size_t piece = (size_t)(end - from) < c->rest ? (size_t)(end - from) : c->rest;
      memmove(to, from, piece);
      to += piece;
      from += piece;
      c->rest -= piece;
      if (!c->rest) c->part = BEHIND;
      continue;
    }
    char byte = *from++;
    if (c->part == HEAD) {
      c->rest = byte == '\r' || byte == '\n' ? c->rest + 1 : 0;
      if (c->rest == 4) c->part = SIZE, c->rest = 0;
    } else if (c->part == BEHIND) {
      if (byte == '\n') c->part = SIZE;
    } else if (byte == '\n') {
      c->part = c->rest ? DATA : ENDED;
    } else if (byte != '\r') {
      c->rest = c->rest * 16 + (size_t)(byte <= '9' ? byte - '0' : (byte | 32) - 'a' + 10);
    }
  }
  c->in_len = (size_t)(to - c->in);
  c->in[c->in_len] = 0;
}

static void stop(client *c, int is_failure) {
  if (c->done) return;
  c->done = 1;
  failed += is_failure;
  epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, 0);
}

/* Tell whether all of a short answer is here. */
static int is_whole(client *c) {
  char *end = strstr(c->in, "\r\n\r\n");
  if (!end) return 0;
  char *length = strcasestr(c->in, "\r\ncontent-length:");
  return length && c->in_len >= (size_t)(end + 4 - c->in) + (size_t)atol(length + 17);
}

static void requests(double seconds) {
  struct epoll_event ready[512];
  long long begin = now(), end = begin + (long long)(seconds * 1e9);
  room = 4000000;
  times = malloc((size_t)room * sizeof *times);
  for (int i = 0; i < connections; i++) ask(&clients[i]);
  while (now() < end) {
    int n = epoll_wait(poller, ready, 512, 100);
    for (int i = 0; i < n; i++) {
      client *c = ready[i].data.ptr;
      ssize_t size = receive(c);
      if (size > 0) c->in_len += (size_t)size;
      if (size < 0) {
        stop(c, 1);
      } else if (is_whole(c)) {
        if (strncmp(c->in, "HTTP/1.1 200", 12)) failed++;
        if (count < room) times[count++] = (float)(now() - c->asked) / 1e3f;
        c->in_len = 0;
        ask(c);
      }
    }
  }
  double took = (double)(now() - begin) / 1e9;
  qsort(times, (size_t)count, sizeof *times, by_size);
  printf("{\"requests\": %ld, \"failed\": %ld, \"seconds\": %.3f, \"p50_us\": %.0f,"
         " \"p99_us\": %.0f}\n",
         count, failed, took, at(times, count, .5), at(times, count, .99));
}

/* Count the events that came whole; keep what is left of the last one. */
static void count_events(client *c, size_t n) {
  long long time = now();
  take_off_chunks(c, n);
  char *from = c->in, *found;
  while ((found = strstr(from, "\"t\":")) && c->in + c->in_len - found >= 4 + STAMP) {
    char stamp[STAMP + 1] = {0};
    memcpy(stamp, found + 4, STAMP);
    long long due = atoll(stamp);
    if (!c->first) c->first = time;
    c->events++;
    if (count < room) events[count++] = (event){due, (float)(time - due) / 1e3f};
    from = found + 4 + STAMP;
  }
  if (c->part == ENDED) {
    stop(c, 0);
    return;
  }
  size_t left = (size_t)(c->in + c->in_len - from), keep = left < 64 ? left : 64;
  memmove(c->in, c->in + c->in_len - keep, keep);
  c->in_len = keep;
}

static void streams(long each, double limit) {
  struct epoll_event ready[512];
  long long begin = now(), end = begin + (long long)(limit * 1e9), last = begin, all_open = 0;
  long left = connections, complete = 0, started = 0;
  room = connections * each + 16;
  events = malloc((size_t)room * sizeof *events);
  for (int i = 0; i < connections; i++) ask(&clients[i]);
  while (left > 0 && now() < end) {
    int n = epoll_wait(poller, ready, 512, 100);
    for (int i = 0; i < n; i++) {
      client *c = ready[i].data.ptr;
      ssize_t size = receive(c);
      if (size < 0) stop(c, 1);
      else if (size > 0) count_events(c, (size_t)size);
      left -= c->done;
    }
    last = now();
  }
  float *first = malloc((size_t)connections * sizeof *first);
  for (int i = 0; i < connections; i++) {
    client *c = &clients[i];
    complete += c->done && c->events == each;
    if (!c->first) continue;
    first[started++] = (float)(c->first - c->asked) / 1e6f;
    if (c->first > all_open) all_open = c->first;
  }
  float latest = 0;
  times = malloc((size_t)(count + 1) * sizeof *times);
  for (long i = 0; i < count; i++) {
    times[i] = events[i].late;
    if (events[i].due > all_open && events[i].late > latest) latest = events[i].late;
  }
  qsort(times, (size_t)count, sizeof *times, by_size);
  qsort(first, (size_t)started, sizeof *first, by_size);
  printf("{\"events\": %ld, \"complete\": %ld, \"failed\": %ld, \"seconds\": %.3f,"
         " \"p50_us\": %.0f, \"p99_us\": %.0f, \"latest_once_open_us\": %.0f,"
         " \"first_p50_ms\": %.2f, \"first_max_ms\": %.2f}\n",
         count, complete, failed, (double)(last - begin) / 1e9, at(times, count, .5),
         at(times, count, .99), (double)latest, at(first, started, .5), at(first, started, 1));
}

int main(int argc, char **argv) {
  if (argc < 6) return fprintf(stderr, "see the head of load.c\n"), 2;
  connections = atoi(argv[4]);
  if (!strcmp(argv[1], "requests")) {
    prepare(argv[3], "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"How"
                     " far is it from here to the sea, and which way?\"}], \"temperature\": 0.7,"
                     " \"max_tokens\": 64}");
    connect_all(atoi(argv[2]));
    requests(atof(argv[5]));
    return 0;
  }
  if (argc < 8) return fprintf(stderr, "see the head of load.c\n"), 2;
  char body[512];
  snprintf(body, sizeof body,
           "{\"model\": \"m\", \"stream\": true, \"messages\": [{\"role\": \"user\", \"content\":"
           " \"Go on.\"}], \"n\": %s, \"rate\": %s}", argv[5], argv[6]);
  prepare(argv[3], body);
  connect_all(atoi(argv[2]));
  streams(atol(argv[5]), atof(argv[7]));
  return 0;
}
