#include "orrery/base/run_context.h"

#include <semaphore.h>
#include <signal.h>

#include <cerrno>
#include <thread>

namespace orrery {

namespace {

sem_t signals_seen;

void count_signal(int) {
  const int before = errno;
  sem_post(&signals_seen);
  errno = before;
}

}  // namespace

std::stop_token interrupt_token() {
  // std::stop_source must not be touched from a handler, so a thread of its own waits for what it counts. A
  // handler serves all threads, also those that libraries start before main and that block no signal.
  static std::stop_source* source = [] {
    auto* created = new std::stop_source;  // lives as long as the program
    sem_init(&signals_seen, 0, 0);
    std::thread([created] {
      while (sem_wait(&signals_seen) != 0) {
      }
      created->request_stop();
    }).detach();
    for (int number : {SIGINT, SIGTERM}) {
      struct sigaction present {
      }, ours{};
      ours.sa_handler = count_signal;
      ours.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);  // a second one has its default effect
      // What the caller had ignored, as a shell does for a job in the background, stays ignored.
      if (sigaction(number, nullptr, &present) == 0 && present.sa_handler != SIG_IGN)
        sigaction(number, &ours, nullptr);
    }
    return created;
  }();
  return source->get_token();
}

}  // namespace orrery
