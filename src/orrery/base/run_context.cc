#include "orrery/base/run_context.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

namespace orrery {

std::stop_token interrupt_token() {
  // std::stop_source must not be touched from a handler, so a thread of its own waits for the signals.
  static std::stop_source* source = [] {
    auto* created = new std::stop_source;  // lives as long as the program
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread([created, signals] {
      int number = 0;
      sigwait(&signals, &number);
      created->request_stop();
      pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second one has its default effect
      pause();
    }).detach();
    return created;
  }();
  return source->get_token();
}

}  // namespace orrery
