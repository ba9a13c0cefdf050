// Threads for one kernel at a time: TensorFlow's C API lends none of its own.
#pragma once
#include <sched.h>
#include <time.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace trm {

/** Workers that share the items of a kernel; as many as TF_NUM_INTRAOP_THREADS says, else as the process may use cores. */
class Threads {
 public:
  static Threads& shared() {
    static Threads* threads = new Threads(wanted());  // never destroyed: its threads end with the process
    return *threads;
  }

  /** Calls work(item) for 0 <= item < count, in any order, on this thread and the workers; alone where the workers are busy. */
  void each(int count, const std::function<void(int)>& work) {
    std::unique_lock<std::mutex> mine(busy_, std::try_to_lock);
    if (workers_ == 0 || count < 2 || !mine.owns_lock()) {
      for (int item = 0; item < count; item++) work(item);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      work_ = &work;
      count_ = count;
      next_.store(0, std::memory_order_relaxed);
      working_.store(workers_, std::memory_order_relaxed);
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    take();
    for (int spins = 0; working_.load(std::memory_order_acquire) > 0; spins++) pause(spins);
  }

 private:
  explicit Threads(int count) : workers_(count - 1) {
    for (int i = 0; i < workers_; i++) std::thread([this] { serve(); }).detach();
  }

  static int wanted() {
    if (const char* text = std::getenv("TF_NUM_INTRAOP_THREADS")) {
      const int count = std::atoi(text);
      if (count > 0) return count;
    }
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
  }

  void take() {
    for (int item; (item = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) (*work_)(item);
  }

  void serve() {
    for (unsigned seen = 0;;) {
      for (int spins = 0; spins < kSpins && round_.load(std::memory_order_acquire) == seen; spins++) __builtin_ia32_pause();
      if (round_.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
      }
      seen = round_.load(std::memory_order_acquire);
      take();
      working_.fetch_sub(1, std::memory_order_release);
    }
  }

  /** Waits a little; longer once the wait has lasted, for another process may want the core that a worker needs. */
  static void pause(int spins) {
    if (spins < kSpins) {
      __builtin_ia32_pause();
    } else {
      const timespec shortly{0, 20000};
      nanosleep(&shortly, nullptr);
    }
  }

  static constexpr int kSpins = 2000;
  const int workers_;
  std::mutex busy_;
  std::mutex mutex_;
  std::condition_variable wake_;
  const std::function<void(int)>* work_ = nullptr;
  int count_ = 0;
  std::atomic<int> next_{0};
  std::atomic<int> working_{0};
  std::atomic<unsigned> round_{0};
};

}  // namespace trm
