/* SHA-256 of the input.
 *
 * Input: any bytes, in a region of at least 32 bytes. The first 32 bytes of the region are
 * overwritten with the digest. Returns the digest's first 8 bytes, big-endian. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

static const u32 K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static u32 rotate(u32 x, u32 by) { return x >> by | x << (32 - by); }

/* Byte `at` of the padded message. */
static u32 message_byte(const u8 *data, u64 length, u64 padded, u64 at) {
    if (at < length)
        return data[at];
    if (at == length)
        return 0x80;
    if (at >= padded - 8)
        return (u8)(length * 8 >> 8 * (padded - 1 - at));
    return 0;
}

static void compress(u32 *state, u32 *w) {
    u32 a = state[0], b = state[1], c = state[2], d = state[3];
    u32 e = state[4], f = state[5], g = state[6], h = state[7];
#pragma clang loop unroll(disable)
    for (u32 i = 0; i < 64; i++) {
        if (i >= 16) {
            u32 x = w[(i + 1) & 15], y = w[(i + 14) & 15];
            u32 s0 = rotate(x, 7) ^ rotate(x, 18) ^ x >> 3;
            u32 s1 = rotate(y, 17) ^ rotate(y, 19) ^ y >> 10;
            w[i & 15] += s0 + w[(i + 9) & 15] + s1;
        }
        u32 t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i] +
                 w[i & 15];
        u32 t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

u64 entry(u8 *input, u64 length) {
    u32 state[8], w[16];
    state[0] = 0x6a09e667, state[1] = 0xbb67ae85, state[2] = 0x3c6ef372, state[3] = 0xa54ff53a;
    state[4] = 0x510e527f, state[5] = 0x9b05688c, state[6] = 0x1f83d9ab, state[7] = 0x5be0cd19;
    u64 padded = (length + 9 + 63) & ~63ULL;
#pragma clang loop unroll(disable)
    for (u64 block = 0; block < padded; block += 64) {
#pragma clang loop unroll(disable)
        for (u64 i = 0; i < 16; i++) {
            u32 word = 0;
#pragma clang loop unroll(disable)
            for (u64 j = 0; j < 4; j++)
                word = word << 8 | message_byte(input, length, padded, block + 4 * i + j);
            w[i] = word;
        }
        compress(state, w);
    }
#pragma clang loop unroll(disable)
    for (u64 i = 0; i < 32; i++)
        input[i] = (u8)(state[i / 4] >> 8 * (3 - (i & 3)));
    return (u64)state[0] << 32 | state[1];
}
