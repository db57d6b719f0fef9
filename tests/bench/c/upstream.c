/* A model's server that costs next to nothing: upstream PORT [SECONDS [CORE]]
 *
 * It moves to CORE, listens after SECONDS, and says on standard error at which nanoseconds it began
 * to listen, was asked how it is for the first time, and got its first request.
 *
 * Any GET is answered with 200.  A POST is answered with a short completion, or, if its body says
 * "stream", with "n" events, "rate" of them a second (0: as fast as they are taken).  Each event is
 * one chunk and one send, and says at which nanosecond it was due: a client that hears it late
 * cannot hide that.  Linux.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define ROOM 65536
#define SECOND 1000000000ll

typedef struct client {
  int fd, gone;
  int streaming, blocked;
  long sent, events, rate;
  long long due;
  size_t in_len, out_len, out_at;
  struct client *next, *prev; /* among those that stream, or that are gone */
  char in[ROOM], out[ROOM];
} client;

static int poller, timer;
static long long listening, probed, asked;
static client streams; /* a ring: its head */

static const char COMPLETION[] =
    "{\"id\":\"chatcmpl-0\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\","
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Here is an answer "
    "of about the length that a short question to a small model gets, a sentence or so, and no "
    "more than that, for this is about the way and not about the answer.\"},\"logprobs\":null,"
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":42,"
    "\"total_tokens\":54}}";

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static void leave_ring(client *c) {
  if (!c->streaming) return;
  c->prev->next = c->next;
  c->next->prev = c->prev;
  c->streaming = 0;
}

static void enter_ring(client *c) {
  c->streaming = 1;
  c->next = &streams;
  c->prev = streams.prev;
  streams.prev->next = c;
  streams.prev = c;
}

static void drop(client *c) {
  if (c->gone) return;
  leave_ring(c);
  close(c->fd);
  c->gone = 1; /* freed by nobody: events of this turn may still name it; few come and go */
}

static void want(client *c, unsigned events) {
  struct epoll_event e = {.events = events, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

/* Send what waits; what the client does not take waits on. */
static void flush(client *c) {
  while (c->out_at < c->out_len) {
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      if (!c->blocked) want(c, EPOLLIN | EPOLLOUT);
      c->blocked = 1;
      return;
    }
    if (n < 0) {
      drop(c);
      return;
    }
    c->out_at += (size_t)n;
  }
  c->out_at = c->out_len = 0;
  if (c->blocked) want(c, EPOLLIN);
  c->blocked = 0;
}

static void put(client *c, const char *data, size_t size) {
  if (c->out_len + size > ROOM) return drop(c); /* so far behind that nothing can be measured */
  memcpy(c->out + c->out_len, data, size);
  c->out_len += size;
}

static void put_chunk(client *c, const char *data, size_t size) {
  char head[16];
  put(c, head, (size_t)sprintf(head, "%zx\r\n", size));
  put(c, data, size);
  put(c, "\r\n", 2);
}

static void put_event(client *c, long long stamp) {
  char event[512];
  int size = sprintf(event,
                     "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":"
                     "1700000000,\"model\":\"m\",\"t\":%019lld,\"choices\":[{\"index\":0,\"delta\":"
                     "{\"content\":\" word\"},\"finish_reason\":null}]}\n\n",
                     stamp);
  put_chunk(c, event, (size_t)size);
}

static void finish_stream(client *c) {
  static const char usage[] =
      "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
      "\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":42,"
      "\"total_tokens\":54}}\n\ndata: [DONE]\n\n";
  leave_ring(c);
  put_chunk(c, usage, sizeof usage - 1);
  put(c, "0\r\n\r\n", 5);
  flush(c);
}

/* Let streams that begin together go on at times of their own, as those of users do. */
static long long apart(long long period) {
  static unsigned turn;
  return period / 4 + period * (long long)(turn++ * 619 % 1000) / 1000;
}

static void stream(client *c, long long time) {
  while (!c->gone && c->sent < c->events && !(c->rate == 0 && c->blocked) &&
         (c->rate == 0 || c->due <= time)) {
    if (c->rate && c->out_len + 1024 > ROOM) break; /* it is late, and its stamps will say so */
    put_event(c, c->rate ? c->due : now());
    c->sent++;
    if (c->rate) c->due += c->sent == 1 ? apart(SECOND / c->rate) : SECOND / c->rate;
    if (!c->blocked) flush(c);
  }
  if (!c->gone && c->sent >= c->events) finish_stream(c);
}

static long number(const char *body, const char *name, long otherwise) {
  const char *at = strstr(body, name);
  return at ? atol(at + strlen(name)) : otherwise;
}

static void answer(client *c, const char *request, const char *body) {
  char head[256];
  if (!strncmp(request, "GET", 3) && !probed) probed = now();
  if (!strncmp(request, "POST", 4) && !asked) {
    asked = now();
    fprintf(stderr, "listening %lld probed %lld asked %lld\n", listening, probed, asked);
  }
  if (!strncmp(request, "POST", 4) && strstr(body, "\"stream\"")) {
    static const char begin[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    c->sent = 0;
    c->events = number(body, "\"n\": ", 10);
    c->rate = number(body, "\"rate\": ", 0);
    c->due = now();
    put(c, begin, sizeof begin - 1);
    enter_ring(c);
    stream(c, c->due);
    return;
  }
  put(c, head, (size_t)sprintf(head,
                               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               "Content-Length: %zu\r\n\r\n",
                               sizeof COMPLETION - 1));
  put(c, COMPLETION, sizeof COMPLETION - 1);
  flush(c);
}

/* Take every whole request that came. */
static void take(client *c) {
  while (!c->gone && !c->streaming) {
    c->in[c->in_len] = 0;
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end) return;
    char *length = strcasestr(c->in, "\r\ncontent-length:");
    size_t body = length && length < end ? (size_t)atol(length + 17) : 0;
    size_t whole = (size_t)(end + 4 - c->in) + body;
    if (c->in_len < whole) return;
    char after = c->in[whole];
    c->in[whole] = 0;
    answer(c, c->in, end + 4);
    c->in[whole] = after;
    memmove(c->in, c->in + whole, c->in_len - whole);
    c->in_len -= whole;
  }
}

static void receive(client *c) {
  ssize_t n = recv(c->fd, c->in + c->in_len, ROOM - 1 - c->in_len, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return drop(c);
  c->in_len += (size_t)n;
  take(c);
}

static void welcome(int listener) {
  int fd, on = 1;
  while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
    client *c = calloc(1, sizeof *c);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
  }
}

/* Send what is due; return whether a stream wants to go on at once. */
static int pace(void) {
  long long time = now(), soonest = 0;
  int busy = 0;
  for (client *c = streams.next, *next; c != &streams; c = next) {
    next = c->next;
    stream(c, time);
    if (c->gone || !c->streaming) continue;
    if (c->rate == 0) busy |= !c->blocked;
    else if (!soonest || c->due < soonest) soonest = c->due;
  }
  struct itimerspec at = {.it_value = {soonest / SECOND, soonest % SECOND}};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, 0);
  return busy;
}

static void move_to(int core) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET((size_t)core, &only);
  if (sched_setaffinity(0, sizeof only, &only)) perror("sched_setaffinity"), exit(1);
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1, busy = 0;
  if (argc > 3) move_to(atoi(argv[3]));
  if (argc > 2) usleep((unsigned)(atof(argv[2]) * 1e6));
  address.sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 0));
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (void *)&address, sizeof address)) return perror("bind"), 1;
  listen(listener, 4096);
  listening = now();
  poller = epoll_create1(0);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  streams.next = streams.prev = &streams;
  struct epoll_event ready[256], l = {.events = EPOLLIN, .data.ptr = &listener},
                                 t = {.events = EPOLLIN, .data.ptr = &timer};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &l);
  epoll_ctl(poller, EPOLL_CTL_ADD, timer, &t);
  for (;;) {
    int n = epoll_wait(poller, ready, 256, busy ? 0 : -1);
    for (int i = 0; i < n; i++) {
      client *c = ready[i].data.ptr;
      if (ready[i].data.ptr == &listener) welcome(listener);
      else if (ready[i].data.ptr != &timer && !c->gone) {
        if (ready[i].events & EPOLLOUT) flush(c);
        if (!c->gone && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
      }
    }
    busy = pace();
  }
}
