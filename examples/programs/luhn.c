/* Checks the last digit of a card number, as Luhn's rule has it: 1 if it fits, 0 if not.
 *
 * Input: the number's digits in ASCII. */
typedef unsigned char u8;
typedef unsigned long long u64;

u64 entry(const u8 *digits, u64 length) {
    u64 sum = 0;
    for (u64 i = 0; i < length; i++) {
        u64 digit = digits[length - 1 - i] - '0';
        if (digit > 9)
            return 0;
        if (i % 2 == 1)
            digit = digit < 5 ? 2 * digit : 2 * digit - 9;
        sum += digit;
    }
    return length > 0 && sum % 10 == 0;
}
