#include "orrery/keyindex/epoch.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <thread>

namespace orrery::keyindex::epoch {
namespace {

std::mutex joining;
std::atomic<Thread*> threads{nullptr};  // never shrinks; records are taken again

bool ask_kernel(int command) {
  return syscall(SYS_membarrier, command, 0, 0) == 0;
}

// Whether the kernel orders the stores of all threads when asked.
bool kernel_orders() {
  static const bool works =
      ask_kernel(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && ask_kernel(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
  return works;
}

void order_all() {
  if (kernel_orders()) ask_kernel(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

struct GiveBack {
  Thread* thread = nullptr;
  ~GiveBack() {
    if (!thread) return;
    mine = nullptr;
    thread->inside.store(0, std::memory_order_release);
    thread->taken.store(false, std::memory_order_release);
    thread = nullptr;
  }
};
thread_local GiveBack give_back;

}  // namespace

std::atomic<uint64_t> current{1};
constinit thread_local Thread* mine = nullptr;

Thread* join() {
  if (give_back.thread) return give_back.thread;
  std::lock_guard lock(joining);
  Thread* thread = threads.load(std::memory_order_acquire);
  while (thread && thread->taken.load(std::memory_order_acquire)) thread = thread->next;
  if (!thread) {
    thread = new Thread;  // kept for the life of the process: a reclaimer may look at it any time
    thread->next = threads.load(std::memory_order_relaxed);
    thread->number = thread->next ? thread->next->number + 1 : 0;
    threads.store(thread, std::memory_order_release);
  }
  thread->taken.store(true, std::memory_order_release);
  thread->stays = 0;
  thread->entered_to_stay = false;
  if (kernel_orders()) mine = thread;
  give_back.thread = thread;
  return thread;
}

uint64_t advance() {
  uint64_t oldest = current.fetch_add(1, std::memory_order_seq_cst) + 1;
  order_all();
  for (Thread* thread = threads.load(std::memory_order_acquire); thread; thread = thread->next) {
    uint64_t inside = thread->inside.load(std::memory_order_seq_cst);
    if (inside != 0) oldest = std::min(oldest, inside);
  }
  return oldest;
}

void wait_for_writers(const void* index) {
  order_all();
  for (Thread* thread = threads.load(std::memory_order_acquire); thread; thread = thread->next)
    while (thread->writing.load(std::memory_order_seq_cst) == index) std::this_thread::yield();
}

}  // namespace orrery::keyindex::epoch
