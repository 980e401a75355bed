// Tells the thread sanitizer what std does out of its sight. std is not compiled for it, so it sees
// only what is inlined into instrumented code: atomics mostly are. Two things are then missing, and
// without them it reports nearly every Arc that is dropped and every std mutex that is waited for.
// To suppress these by name would hide all that is dropped through an Arc, which is the whole runtime.
// tsan.sh links the functions here in place of those that they wrap.
#include <stddef.h>
#include <stdint.h>

extern uint64_t __real___tsan_atomic64_fetch_sub(volatile uint64_t *at, uint64_t by, int order);
extern void __real___tsan_atomic_thread_fence(int order);
extern void __real_lock_contended(void *mutex);
extern void __tsan_acquire(void *at);

// Arc's drop is a Release decrement, and an Acquire fence for whoever takes the last reference. The
// sanitizer has no notion of fences. This is what the fence means: it makes the decrement before it
// an Acquire as well. The crate itself has no fences, so nothing of it is hidden.
static __thread void *decremented;

uint64_t __wrap___tsan_atomic64_fetch_sub(volatile uint64_t *at, uint64_t by, int order) {
    decremented = (void *)at;
    return __real___tsan_atomic64_fetch_sub(at, by, order);
}

void __wrap___tsan_atomic_thread_fence(int order) {
    if (order == __ATOMIC_ACQUIRE && decremented != NULL) {
        __tsan_acquire(decremented);
        decremented = NULL;
    }
    __real___tsan_atomic_thread_fence(order);
}

// The slow path of std's mutex acquires it inside std.
// The unlocking is inlined, and seen. `lock_contended` stands for the mangled name.
void __wrap_lock_contended(void *mutex) {
    __real_lock_contended(mutex);
    __tsan_acquire(mutex);
}
