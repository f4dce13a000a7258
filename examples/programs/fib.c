/* Fibonacci numbers modulo 2^64.
 *
 * Input: one 64-bit little-endian number n. Returns fib(n); without an input, fib(1000). */
typedef unsigned long long u64;

u64 entry(const u64 *input, u64 length) {
    u64 n = length >= sizeof(u64) ? *input : 1000;
    u64 a = 0, b = 1;
    while (n--) {
        u64 next = a + b;
        a = b;
        b = next;
    }
    return a;
}
