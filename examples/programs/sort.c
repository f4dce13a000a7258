/* Sorts the input in place: heap sort of 32-bit little-endian numbers, ascending.
 *
 * Input: the numbers. Returns how many there are. The input region afterwards is the sorted list:
 * a proof can claim it as the output. */
typedef unsigned int u32;
typedef unsigned long long u64;

static void sift(u32 *numbers, u64 at, u64 end) {
    u32 value = numbers[at];
    for (;;) {
        u64 child = 2 * at + 1;
        if (child >= end)
            break;
        if (child + 1 < end && numbers[child + 1] > numbers[child])
            child++;
        if (numbers[child] <= value)
            break;
        numbers[at] = numbers[child];
        at = child;
    }
    numbers[at] = value;
}

u64 entry(u32 *numbers, u64 length) {
    u64 count = length / sizeof(u32);
    for (u64 start = count / 2; start-- > 0;)
        sift(numbers, start, count);
    for (u64 end = count; end-- > 1;) {
        u32 last = numbers[end];
        numbers[end] = numbers[0];
        numbers[0] = last;
        sift(numbers, 0, end);
    }
    return count;
}
