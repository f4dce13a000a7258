/* Decides about an Ethernet frame, as a firewall would: 1 accepts, 0 drops.
 *
 * Input: the frame. Accepted are IPv4 TCP segments to port 80 or 443 whose source address is not in
 * 10.0.0.0/8, and IPv4 ICMP echo requests. Everything else is dropped, truncated frames included. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

enum { ACCEPT = 1, DROP = 0 };
enum { ETHERNET = 14, ETHERTYPE_IPV4 = 0x0800, ICMP = 1, TCP = 6, ECHO_REQUEST = 8 };

static u32 big16(const u8 *at) { return (u32)at[0] << 8 | at[1]; }

u64 entry(const u8 *frame, u64 length) {
    if (length < ETHERNET + 20 || big16(frame + 12) != ETHERTYPE_IPV4)
        return DROP;
    const u8 *ip = frame + ETHERNET;
    u64 header = (ip[0] & 15) * 4;
    if (ip[0] >> 4 != 4 || header < 20 || length < ETHERNET + header + 4)
        return DROP;
    /* Only the first fragment has a transport header. */
    if (big16(ip + 6) & 0x1fff)
        return DROP;

    /* The header's checksum: the sum of its words is all ones. */
    u32 sum = 0;
    for (u64 i = 0; i < header; i += 2)
        sum += big16(ip + i);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    if (sum != 0xffff)
        return DROP;

    const u8 *transport = ip + header;
    if (ip[9] == ICMP)
        return transport[0] == ECHO_REQUEST;
    if (ip[9] != TCP || ip[12] == 10)
        return DROP;
    u32 port = big16(transport + 2);
    return port == 80 || port == 443;
}
