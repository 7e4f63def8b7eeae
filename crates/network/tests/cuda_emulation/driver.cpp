// driver.cpp: a stand-in for libcuda on the CPU, for tests of the host code as it is.
//
// Work of a stream is queued and done as late as allowed, when somebody waits for it: a result that is read without
// waiting is seen. Only a copy from memory that is not pinned happens at once, as the real driver does it. Device
// memory is NaN when it is made and has a border on both sides that is checked when it is freed.
// Only what crates/network/src/cuda and cudarc call is here; a missing function is a panic that names it.
//
// The functions standin_… are for the tests: what was called how often, what shall fail, which card this is.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <link.h>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "emulation.h"

extern "C" emulation::Bind emulation_find(const char* name);
extern "C" void emulation_touch_shared_memory();

namespace emulation {

thread_local Block block;

// Saves the registers that a call must keep, changes stacks, restores the other's: System V ABI, x86-64.
asm(R"(
.text
.globl emulation_switch
.type emulation_switch, @function
emulation_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size emulation_switch, .-emulation_switch
)");

// The kernels' thread-local memory on this thread; see emulation.h.
static void fill_shared_memory() {
  emulation_touch_shared_memory();
  dl_iterate_phdr(
      [](dl_phdr_info* library, size_t, void*) {
        if (strstr(library->dlpi_name, "effigy_emulated_kernels") == nullptr) return 0;
        for (int i = 0; i < library->dlpi_phnum; i++)
          if (library->dlpi_phdr[i].p_type == PT_TLS && library->dlpi_tls_data != nullptr)
            memset(library->dlpi_tls_data, 0xff, library->dlpi_phdr[i].p_memsz);
        return 1;
      },
      nullptr);
}

[[noreturn]] static void run_fiber() {
  (*block.kernel)();
  Fiber* fiber = block.current;
  block.progress++;
  block.alive--;
  fiber->warp->alive &= ~(1u << fiber->lane);
  if (fiber->warp->arrived != 0) fail("a lane has left while others wait for it");
  if (block.alive != 0 && block.arrived == block.alive) {
    block.arrived = 0;
    block.epoch++;
  }
  if (fiber->next == fiber) {
    void* abandoned;
    emulation_switch(&abandoned, block.launcher);
  }
  Fiber* before = fiber;
  while (before->next != fiber) before = before->next;
  before->next = fiber->next;
  block.current = fiber->next;
  emulation_switch(&fiber->stack_pointer, fiber->next->stack_pointer);
  abort();
}

static std::string run_block(dim3 index, unsigned n_threads, unsigned seed, std::function<void()>& kernel) {
  const size_t stack_bytes = 64 << 10;
  static thread_local std::vector<Fiber> fibers;
  static thread_local std::vector<Warp> warps;
  static thread_local std::vector<unsigned char> stacks;
  if (stacks.size() < (n_threads + 1) * stack_bytes) stacks.resize((n_threads + 1) * stack_bytes);
  fibers.assign(n_threads, Fiber{});
  warps.assign((n_threads + 31) / 32, Warp{});
  fill_shared_memory();
  block = Block{};
  block.index = index;
  block.alive = n_threads;
  block.kernel = &kernel;
  block.is_hasty = seed & 1;
  std::vector<unsigned> order(n_threads);
  for (unsigned i = 0; i < n_threads; i++) order[i] = i;
  for (unsigned i = n_threads; seed != 0 && i-- > 1;) {
    seed = seed * 1664525u + 1013904223u;
    std::swap(order[i], order[(seed >> 8) % (i + 1)]);
  }
  const uintptr_t base = ((uintptr_t)stacks.data() + 63) & ~(uintptr_t)63;
  for (unsigned i = 0; i < n_threads; i++) {
    Fiber& fiber = fibers[i];
    fiber.thread = i;
    fiber.lane = i % 32;
    fiber.warp = &warps[i / 32];
    fiber.warp->alive |= 1u << fiber.lane;
    // As if run_fiber had been called: its return address keeps the stack aligned as the ABI wants it.
    void** sp = (void**)(base + (i + 1) * stack_bytes - 64);
    *--sp = nullptr;
    *--sp = (void*)run_fiber;
    for (int k = 0; k < 6; k++) *--sp = nullptr;
    fiber.stack_pointer = sp;
  }
  for (unsigned i = 0; i < n_threads; i++) fibers[order[i]].next = &fibers[order[(i + 1) % n_threads]];
  for (unsigned i = 0; i < n_threads; i++) fibers[i].next_in_warp = &fibers[i % 32 == 31 ? i - 31 : i + 1];
  block.current = &fibers[order[0]];
  emulation_switch(&block.launcher, block.current->stack_pointer);
  return block.fault;
}

// Runs all blocks of a grid on as many OS threads as there are cores; the first fault, or nothing.
static std::string run_grid(dim3 grid, unsigned n_threads, unsigned seed, std::function<void()> kernel) {
  const size_t n_blocks = (size_t)grid.x * grid.y * grid.z;
  std::atomic<size_t> next{0};
  std::atomic<bool> has_failed{false};
  std::string fault;
  auto work = [&] {
    std::function<void()> body = kernel;
    for (size_t i; !has_failed && (i = next++) < n_blocks;) {
      const dim3 index{(unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y), (unsigned)(i / grid.x / grid.y)};
      std::string found = run_block(index, n_threads, seed ? seed + (unsigned)i : 0, body);
      if (!found.empty() && !has_failed.exchange(true)) fault = found;
    }
  };
  std::vector<std::thread> workers;
  const size_t n_workers = std::min<size_t>(std::max(1u, std::thread::hardware_concurrency()), n_blocks);
  for (size_t i = 1; i < n_workers; i++) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();
  return fault;
}

}  // namespace emulation

typedef unsigned long long Address;
typedef std::function<int()> Work;
enum { OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NOT_READY = 600 };
enum { NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719 };
const size_t BORDER = 256;

struct Stream {
  std::deque<Work> queue;
  bool was_asked = false;
  std::vector<Work>* capture = nullptr;
};
struct Module { std::string image; };
typedef std::shared_ptr<Module> Loaded;
struct Function { emulation::Bind bind; std::string name; std::weak_ptr<Module> module; };
typedef std::vector<Work> Graph;

static std::mutex all;  // one call at a time
static std::map<Address, size_t> memory, pinned;
static std::map<std::string, int> counts, failures;
static int compute_major = 8, compute_minor = 6, n_devices = 1, driver_version = 12080;
static unsigned seed = 0;
static char the_context;
static thread_local void* current_context;
static Stream null_stream;
static std::set<Stream*> streams;
static int lost = OK;  // once a kernel has failed nothing works any more, as on a card
static bool is_hung = false;  // work never ends

// Counts the call; what shall fail fails once.
static int enter(const char* name) {
  counts[name]++;
  const auto failure = failures.find(name);
  if (failure == failures.end()) return lost;
  const int code = failure->second;
  failures.erase(failure);
  return code;
}

#define ENTER(name)                                   \
  std::lock_guard<std::mutex> guard(all);             \
  if (const int failed = enter(#name)) return failed

static Stream& stream_of(void* stream) { return stream ? *(Stream*)stream : null_stream; }

static int push(void* stream, Work work) {
  Stream& to = stream_of(stream);
  if (to.capture) to.capture->push_back(std::move(work));
  else
    to.queue.push_back(std::move(work));
  return OK;
}

static int drain(Stream& stream) {
  if (stream.capture) return 900;  // CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
  while (!stream.queue.empty()) {
    Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    if (const int failed = work()) {
      lost = failed;
      stream.queue.clear();
      return failed;
    }
  }
  return OK;
}

static bool is_inside(const std::map<Address, size_t>& heap, Address at, size_t n) {
  auto after = heap.upper_bound(at);
  if (after == heap.begin()) return false;
  --after;
  return at + n <= after->first + after->second;
}

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int cuInit(unsigned) { ENTER(cuInit); return OK; }
EXPORT int cuDriverGetVersion(int* version) { *version = driver_version; return OK; }
EXPORT int cuDeviceGet(int* device, int ordinal) {
  ENTER(cuDeviceGet);
  *device = ordinal;
  return ordinal < n_devices ? OK : n_devices ? 101 : NO_DEVICE;
}
EXPORT int cuDeviceGetCount(int* n) { ENTER(cuDeviceGetCount); *n = n_devices; return OK; }
EXPORT int cuDeviceGetName(char* name, int n, int) { snprintf(name, n, "CPU emulation"); return OK; }
EXPORT int cuDeviceTotalMem_v2(size_t* n, int) { *n = (size_t)8 << 30; return OK; }
EXPORT int cuMemGetInfo_v2(size_t* free, size_t* total) {
  *free = (size_t)3 << 30;
  *total = (size_t)8 << 30;
  return OK;
}
EXPORT int cuDeviceGetAttribute(int* value, int attribute, int) {
  switch (attribute) {
    case 1: *value = 1024; break;               // threads of a block
    case 10: *value = 32; break;                // threads of a warp
    case 16: *value = 28; break;                // multiprocessors
    case 75: *value = compute_major; break;
    case 76: *value = compute_minor; break;
    case 97: *value = 99 << 10; break;          // shared memory of a block, when asked for
    default: *value = 0;
  }
  return OK;
}
EXPORT int cuDevicePrimaryCtxRetain(void** context, int) {
  ENTER(cuDevicePrimaryCtxRetain);
  *context = &the_context;
  return OK;
}
EXPORT int cuDevicePrimaryCtxRelease_v2(int) { return OK; }
EXPORT int cuCtxSetCurrent(void* context) { current_context = context; return OK; }
EXPORT int cuCtxGetCurrent(void** context) { *context = current_context; return OK; }
EXPORT int cuCtxSynchronize() { ENTER(cuCtxSynchronize); return drain(null_stream); }

EXPORT int cuStreamCreate(void** stream, unsigned) {
  ENTER(cuStreamCreate);
  Stream* made = new Stream;
  streams.insert(made);
  *stream = made;
  return OK;
}
EXPORT int cuStreamSynchronize(void* stream) { ENTER(cuStreamSynchronize); return drain(stream_of(stream)); }
// Answers once that work is still under way, so that it is asked again.
EXPORT int cuStreamQuery(void* stream) {
  ENTER(cuStreamQuery);
  Stream& asked = stream_of(stream);
  if (is_hung) return NOT_READY;
  if (!asked.queue.empty() && !asked.was_asked) {
    asked.was_asked = true;
    return NOT_READY;
  }
  asked.was_asked = false;
  return drain(asked);
}
EXPORT int cuStreamDestroy_v2(void* stream) {
  streams.erase((Stream*)stream);
  delete (Stream*)stream;
  return OK;
}
EXPORT int cuStreamBeginCapture_v2(void* stream, int) {
  ENTER(cuStreamBeginCapture_v2);
  if (!stream || stream_of(stream).capture) return INVALID;
  stream_of(stream).capture = new Graph;
  return OK;
}
EXPORT int cuStreamEndCapture(void* stream, void** graph) {
  ENTER(cuStreamEndCapture);
  *graph = stream_of(stream).capture;
  stream_of(stream).capture = nullptr;
  return *graph ? OK : INVALID;
}
EXPORT int cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
  ENTER(cuGraphInstantiateWithFlags);
  *executable = new Graph(*(Graph*)graph);
  return OK;
}
EXPORT int cuGraphUpload(void*, void*) { ENTER(cuGraphUpload); return OK; }
EXPORT int cuGraphLaunch(void* executable, void* stream) {
  ENTER(cuGraphLaunch);
  for (const Work& work : *(Graph*)executable) push(stream, work);
  return OK;
}
EXPORT int cuGraphExecDestroy(void* executable) { delete (Graph*)executable; return OK; }
EXPORT int cuGraphDestroy(void* graph) { delete (Graph*)graph; return OK; }

// An event's time is that of the host, when the work before it has been done.
typedef std::chrono::steady_clock::time_point Event;
EXPORT int cuEventCreate(void** event, unsigned) { ENTER(cuEventCreate); *event = new Event; return OK; }
EXPORT int cuEventRecord(void* event, void* stream) {
  ENTER(cuEventRecord);
  return push(stream, [event] { *(Event*)event = std::chrono::steady_clock::now(); return OK; });
}
EXPORT int cuEventSynchronize(void*) {
  ENTER(cuEventSynchronize);
  for (Stream* stream : streams)
    if (const int failed = drain(*stream)) return failed;
  return OK;
}
EXPORT int cuEventElapsedTime(float* ms, void* from, void* to) {
  ENTER(cuEventElapsedTime);
  *ms = std::chrono::duration<float, std::milli>(*(Event*)to - *(Event*)from).count();
  return OK;
}
EXPORT int cuEventDestroy_v2(void* event) { delete (Event*)event; return OK; }

EXPORT int cuMemAlloc_v2(Address* address, size_t n) {
  ENTER(cuMemAlloc_v2);
  const size_t n_bytes = (n + 511) / 512 * 512;
  char* at = (char*)aligned_alloc(512, n_bytes + 2 * 512);
  memset(at, 0xff, n_bytes + 2 * 512);
  memset(at + 512 - BORDER, 0xa5, BORDER);
  memset(at + 512 + n, 0xa5, BORDER);
  *address = (Address)(at + 512);
  memory[*address] = n;
  return OK;
}
EXPORT int cuMemFree_v2(Address address) {
  std::lock_guard<std::mutex> guard(all);
  counts["cuMemFree_v2"]++;
  const auto found = memory.find(address);
  if (found == memory.end()) return INVALID;
  const unsigned char* at = (const unsigned char*)address;
  for (size_t i = 0; i < BORDER; i++)
    if (at[-1 - (long)i] != 0xa5 || at[found->second + i] != 0xa5) {
      fprintf(stderr, "stand-in: written outside of %zu bytes of device memory\n", found->second);
      abort();
    }
  memory.erase(found);
  free((char*)address - 512);
  return OK;
}
EXPORT int cuMemHostAlloc(void** at, size_t n, unsigned) {
  ENTER(cuMemHostAlloc);
  *at = aligned_alloc(512, (n + 511) / 512 * 512);
  memset(*at, 0xff, n);
  pinned[(Address)*at] = n;
  return OK;
}
EXPORT int cuMemFreeHost(void* at) {
  std::lock_guard<std::mutex> guard(all);
  if (!pinned.erase((Address)at)) return INVALID;
  free(at);
  return OK;
}
EXPORT int cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t n, void* stream) {
  ENTER(cuMemcpyHtoDAsync_v2);
  if (!is_inside(memory, to, n)) return ILLEGAL_ADDRESS;
  auto copy = [=] { memcpy((void*)to, from, n); return 0; };
  if (is_inside(pinned, (Address)from, n)) return push(stream, copy);
  if (const int failed = drain(stream_of(stream))) return failed;
  return copy();
}
EXPORT int cuMemcpyDtoHAsync_v2(void* to, Address from, size_t n, void* stream) {
  ENTER(cuMemcpyDtoHAsync_v2);
  if (!is_inside(memory, from, n)) return ILLEGAL_ADDRESS;
  return push(stream, [=] { memcpy(to, (const void*)from, n); return 0; });
}
EXPORT int cuMemsetD8Async(Address to, unsigned char value, size_t n, void* stream) {
  ENTER(cuMemsetD8Async);
  if (!is_inside(memory, to, n)) return ILLEGAL_ADDRESS;
  return push(stream, [=] { memset((void*)to, value, n); return 0; });
}

// What the stand-in of NVRTC makes: the names of all entries, each on a line.
EXPORT int cuModuleLoadData(void** module, const void* image) {
  ENTER(cuModuleLoadData);
  if (strncmp((const char*)image, "stand-in module", 15) != 0) return 200;  // CUDA_ERROR_INVALID_IMAGE
  *module = new Loaded(new Module{(const char*)image});
  return OK;
}
EXPORT int cuModuleUnload(void* module) {
  std::lock_guard<std::mutex> guard(all);
  counts["cuModuleUnload"]++;
  delete (Loaded*)module;
  return OK;
}
EXPORT int cuModuleGetFunction(void** function, void* module, const char* name) {
  ENTER(cuModuleGetFunction);
  const emulation::Bind bind = emulation_find(name);
  const Loaded& loaded = *(Loaded*)module;
  if (!bind || loaded->image.find("\n" + std::string(name) + "\n") == std::string::npos) return NOT_FOUND;
  *function = new Function{bind, name, loaded};
  return OK;
}
EXPORT int cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                          unsigned block_y, unsigned block_z, unsigned, void* stream, void** arguments, void**) {
  ENTER(cuLaunchKernel);
  const Function& kernel = *(Function*)function;
  counts["kernel " + kernel.name]++;
  if (!grid_x || !grid_y || !grid_z || grid_y > 65535 || grid_z > 65535) return INVALID;
  if (block_x != 128 || block_y != 1 || block_z != 1) return INVALID;  // as __launch_bounds__ has it
  std::function<void()> body = kernel.bind(arguments);
  return push(stream, [body, name = kernel.name, module = kernel.module, grid_x, grid_y, grid_z] {
    if (module.expired()) {
      fprintf(stderr, "stand-in: %s: its module has been unloaded\n", name.c_str());
      return (int)LAUNCH_FAILED;
    }
    seed = seed * 22695477u + 1u;
    const std::string fault = emulation::run_grid({grid_x, grid_y, grid_z}, 128, seed >> 16, body);
    if (fault.empty()) return (int)OK;
    fprintf(stderr, "stand-in: %s: %s\n", name.c_str(), fault.c_str());
    return (int)LAUNCH_FAILED;
  });
}

EXPORT int cuGetErrorName(int, const char** text) { *text = "CUDA_ERROR"; return OK; }
EXPORT int cuGetErrorString(int code, const char** text) {
  *text = code == OUT_OF_MEMORY ? "out of memory" : code == LAUNCH_FAILED ? "unspecified launch failure" : "an error";
  return OK;
}

EXPORT int standin_count(const char* name) {
  std::lock_guard<std::mutex> guard(all);
  return counts[name];
}
EXPORT void standin_fail(const char* name, int code) {
  std::lock_guard<std::mutex> guard(all);
  failures[name] = code;
}
EXPORT void standin_card(int major, int minor, int n, int version) {
  std::lock_guard<std::mutex> guard(all);
  compute_major = major;
  compute_minor = minor;
  n_devices = n;
  driver_version = version;
}
// Whether work ends never from now on.
EXPORT void standin_hang(int is_wanted) {
  std::lock_guard<std::mutex> guard(all);
  is_hung = is_wanted;
}
// A new card: whole again after a failed launch, and no call has reached it.
EXPORT void standin_replace_card() {
  std::lock_guard<std::mutex> guard(all);
  counts.clear();
  failures.clear();
  lost = OK;
  is_hung = false;
}
// Runs one block of a kernel of broken.cu; the fault, or an empty text.
EXPORT const char* standin_run(const char* name, const float* x, float* y, unsigned seed) {
  static std::string fault;
  void* arguments[] = {&x, &y};
  fault = emulation::run_grid({1, 1, 1}, 128, seed, emulation_find(name)(arguments));
  return fault.c_str();
}
