/* Forwards packets for virtual addresses to backends in the same layer-2 segment, by Maglev hashing with
 * direct server return: only the MAC addresses of a frame change (and its hop count), the backend has the
 * virtual address too and answers the client itself.
 *
 * What is not clearly for a virtual address goes to the stack as if the program were not there. The maps
 * are written by src/proxy/xdp; their layouts are repeated in layout.rs, and a test compares both.
 *
 * Built by ./build into forward.bpf.o, which is what the program loads. */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SLOTS 65537	/* of a Maglev table: the prime that src/balance/maglev.rs has */
#define TABLES 32	/* upstreams */
#define VIPS 512	/* virtual addresses with port and protocol */
#define BACKENDS 4096	/* of all upstreams */
#define LINKS 16	/* interfaces */
#define NOBODY 0xffff	/* in a slot: no backend */

/* Bits of vip.flags. */
#define BY_SOURCE 1	/* the hash is of the client's address only */

/* Bits of backend.flags. */
#define TAKES 1		/* gets new flows */
#define KEEPS_TCP 2	/* keeps the TCP flows it has */
#define KEEPS_UDP 4	/* keeps the UDP flows it has */

/* An IPv4 address is held in its IPv6 form, ::ffff:a.b.c.d; everything in network order. */
struct vip_key {
	__be32 address[4];
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

struct vip {
	__u16 table;
	__u16 counter;
	__u32 flags;
};

struct flow_key {
	__be32 client[4];
	__be32 vip[4];
	__be16 client_port;
	__be16 vip_port;
	__u8 protocol;
	__u8 zero[3];
};

struct flow {
	__u16 backend;
	__u16 epoch;
};

struct backend {
	__u8 mac[ETH_ALEN];
	__u16 epoch;	/* other flows than those of this one belong to who had its place before */
	__u8 flags;
	__u8 zero[7];
};

struct table {
	__u16 slots[SLOTS];
	__u16 zero[3];
};

struct link {
	__u8 mac[ETH_ALEN];
	__u8 zero[2];
};

/* RFC 792, RFC 4443; <linux/icmp.h> needs the C library of the target. */
struct icmp {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 rest;
};

#define ICMP_DEST_UNREACH 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_PARAMPROB 4

struct counter {
	__u64 packets;
	__u64 octets;
};

/* How many flows a CPU has written down in the second that began at `since`. */
struct pace {
	__u64 since;
	__u64 flows;
};

/* What else is counted; places in the map EVENTS. */
enum event {
	FLOWS_MADE,	/* written down */
	FLOWS_ENDED,	/* erased: their backend keeps none any more */
	FLOWS_UNWRITTEN,/* not written down, because too many came in this second */
	NO_BACKEND,	/* given to the stack, because no backend takes them */
	FRAGMENTS,	/* dropped: first fragments for a virtual address */
	EXPIRED,	/* dropped: their hop count is used up */
	ICMP_ERRORS,	/* ICMP errors that went after their flow */
	EVENTS_COUNT
};

#define MAP(name, kind, key, value, count)                                     \
	struct bpf_map_def SEC("maps") name = {                                \
		.type = BPF_MAP_TYPE_##kind,                                   \
		.key_size = sizeof(key),                                       \
		.value_size = sizeof(value),                                   \
		.max_entries = count,                                          \
	}

struct bpf_map_def {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
};

MAP(LINK, HASH, __u32, struct link, LINKS);
MAP(VIP, HASH, struct vip_key, struct vip, VIPS);
MAP(FLOW, LRU_HASH, struct flow_key, struct flow, 65536);
MAP(BACKEND, ARRAY, __u32, struct backend, BACKENDS);
/* Two of each: the live one and the next. */
MAP(TABLE, ARRAY, __u32, struct table, 2 * TABLES);
/* Place in TABLE of the live one. */
MAP(LIVE, ARRAY, __u32, __u32, TABLES);
MAP(VIP_COUNT, PERCPU_ARRAY, __u32, struct counter, VIPS);
MAP(BACKEND_COUNT, PERCPU_ARRAY, __u32, struct counter, BACKENDS);
MAP(EVENT, PERCPU_ARRAY, __u32, __u64, EVENTS_COUNT);
MAP(PACE, PERCPU_ARRAY, __u32, struct pace, 1);
/* Flows that a CPU may write down in a second. */
MAP(MOST, ARRAY, __u32, __u64, 1);

#define ALWAYS static __attribute__((always_inline))

/* What a packet is, as far as it matters. */
struct packet {
	struct flow_key flow;
	struct iphdr *v4;
	struct ipv6hdr *v6;
	__u8 opens;	/* begins a TCP connection */
	__u8 fragment;	/* a first fragment */
	__u8 error;	/* an ICMP error about the flow */
};

ALWAYS void happened(__u32 event)
{
	__u64 *count = bpf_map_lookup_elem(&EVENT, &event);
	if (count)
		++*count;
}

ALWAYS void count(void *map, __u32 at, __u64 octets)
{
	struct counter *counter = bpf_map_lookup_elem(map, &at);
	if (counter) {
		counter->packets++;
		counter->octets += octets;
	}
}

/* balance::mix */
ALWAYS __u64 mix(__u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* traffic::algorithm::hash_address */
ALWAYS __u64 hash_address(const __be32 *a)
{
	if (!a[0] && !a[1] && a[2] == bpf_htonl(0xffff))
		return mix(bpf_ntohl(a[3]) ^ 0x547261646577696eULL);
	__u64 high = (__u64)bpf_ntohl(a[0]) << 32 | bpf_ntohl(a[1]);
	__u64 low = (__u64)bpf_ntohl(a[2]) << 32 | bpf_ntohl(a[3]);
	return mix(mix(high) ^ low);
}

/* traffic::tuple::Tuple::hash, or of the client's address alone */
ALWAYS __u64 hash_flow(const struct flow_key *flow, __u32 flags)
{
	__u64 source = hash_address(flow->client);
	if (flags & BY_SOURCE)
		return source;
	__u64 vip = hash_address(flow->vip);
	__u64 ports = (__u64)bpf_ntohs(flow->client_port) << 16 | bpf_ntohs(flow->vip_port);
	return mix(source ^ (vip << 21 | vip >> 43) ^ mix(ports | (__u64)flow->protocol << 32));
}

ALWAYS void set_v4(__be32 *to, __be32 address)
{
	to[0] = 0;
	to[1] = 0;
	to[2] = bpf_htonl(0xffff);
	to[3] = address;
}

ALWAYS void set_v6(__be32 *to, const struct in6_addr *address)
{
	to[0] = address->s6_addr32[0];
	to[1] = address->s6_addr32[1];
	to[2] = address->s6_addr32[2];
	to[3] = address->s6_addr32[3];
}

/* Takes the ports, and whether a connection begins. */
ALWAYS int parse_ports(struct packet *p, void *at, void *end)
{
	if (p->flow.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = at;
		if ((void *)(tcp + 1) > end)
			return -1;
		p->flow.client_port = tcp->source;
		p->flow.vip_port = tcp->dest;
		p->opens = tcp->syn && !tcp->ack;
		return 0;
	}
	if (p->flow.protocol == IPPROTO_UDP) {
		struct udphdr *udp = at;
		if ((void *)(udp + 1) > end)
			return -1;
		p->flow.client_port = udp->source;
		p->flow.vip_port = udp->dest;
		return 0;
	}
	return -1;
}

/* Takes the ports of the packet that an ICMP error is about: the virtual address sent it. */
ALWAYS int parse_quoted_ports(struct packet *p, void *at, void *end)
{
	__be16 *ports = at;
	if ((void *)(ports + 2) > end)
		return -1;
	if (p->flow.protocol != IPPROTO_TCP && p->flow.protocol != IPPROTO_UDP)
		return -1;
	p->flow.vip_port = ports[0];
	p->flow.client_port = ports[1];
	p->error = 1;
	return 0;
}

ALWAYS int parse_icmp4(struct packet *p, void *at, void *end)
{
	struct icmp *icmp = at;
	struct iphdr *quoted = (void *)(icmp + 1);
	if ((void *)(quoted + 1) > end)
		return -1;
	if (icmp->type != ICMP_DEST_UNREACH && icmp->type != ICMP_TIME_EXCEEDED &&
	    icmp->type != ICMP_PARAMETERPROB)
		return -1;
	__u32 length = quoted->ihl * 4;
	if (quoted->version != 4 || length < sizeof(*quoted) || quoted->saddr != p->v4->daddr ||
	    quoted->frag_off & bpf_htons(0x1fff))
		return -1;
	set_v4(p->flow.client, quoted->daddr);
	p->flow.protocol = quoted->protocol;
	return parse_quoted_ports(p, (void *)quoted + length, end);
}

ALWAYS int parse_icmp6(struct packet *p, void *at, void *end)
{
	struct icmp *icmp = at;
	struct ipv6hdr *quoted = (void *)(icmp + 1);
	if ((void *)(quoted + 1) > end)
		return -1;
	if (icmp->type < ICMPV6_DEST_UNREACH || icmp->type > ICMPV6_PARAMPROB)
		return -1;
	__be32 sender[4];
	set_v6(sender, &quoted->saddr);
	if (quoted->version != 6 || sender[0] != p->flow.vip[0] || sender[1] != p->flow.vip[1] ||
	    sender[2] != p->flow.vip[2] || sender[3] != p->flow.vip[3])
		return -1;
	set_v6(p->flow.client, &quoted->daddr);
	p->flow.protocol = quoted->nexthdr;
	return parse_quoted_ports(p, quoted + 1, end);
}

ALWAYS int parse_v4(struct packet *p, void *at, void *end)
{
	struct iphdr *ip = at;
	if ((void *)(ip + 1) > end)
		return -1;
	__u32 length = ip->ihl * 4;
	if (ip->version != 4 || length < sizeof(*ip))
		return -1;
	/* Only the first fragment has the ports. */
	if (ip->frag_off & bpf_htons(0x1fff))
		return -1;
	p->fragment = !!(ip->frag_off & bpf_htons(0x2000));
	p->v4 = ip;
	set_v4(p->flow.client, ip->saddr);
	set_v4(p->flow.vip, ip->daddr);
	p->flow.protocol = ip->protocol;
	at += length;
	if (ip->protocol == IPPROTO_ICMP)
		return parse_icmp4(p, at, end);
	return parse_ports(p, at, end);
}

ALWAYS int parse_v6(struct packet *p, void *at, void *end)
{
	struct ipv6hdr *ip = at;
	if ((void *)(ip + 1) > end || ip->version != 6)
		return -1;
	p->v6 = ip;
	set_v6(p->flow.client, &ip->saddr);
	set_v6(p->flow.vip, &ip->daddr);
	p->flow.protocol = ip->nexthdr;
	at = ip + 1;
	if (ip->nexthdr == IPPROTO_FRAGMENT) {
		struct {
			__u8 next;
			__u8 reserved;
			__be16 offset;
			__be32 id;
		} *fragment = at;
		if ((void *)(fragment + 1) > end || fragment->offset & bpf_htons(0xfff8))
			return -1;
		/* One that is whole all the same (RFC 8200, section 4.5) is left to the stack. */
		if (!(fragment->offset & bpf_htons(1)))
			return -1;
		p->fragment = 1;
		p->flow.protocol = fragment->next;
		return parse_ports(p, fragment + 1, end);
	}
	if (ip->nexthdr == IPPROTO_ICMPV6)
		return parse_icmp6(p, at, end);
	return parse_ports(p, at, end);
}

ALWAYS int parse(struct packet *p, struct ethhdr *eth, void *end)
{
	void *at = eth + 1;
	__be16 type = eth->h_proto;
	/* Frames keep their tags: backends are where the frame came from. */
#pragma unroll
	for (int tags = 0; tags < 2; tags++) {
		struct {
			__be16 tag;
			__be16 type;
		} *vlan = at;
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(vlan + 1) > end)
			return -1;
		type = vlan->type;
		at = vlan + 1;
	}
	if (type == bpf_htons(ETH_P_IP))
		return parse_v4(p, at, end);
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_v6(p, at, end);
	return -1;
}

/* Whether this CPU may write down one more flow: who sends packets of ever new flows shall not drive those
 * out that live. */
ALWAYS int may_write(void)
{
	__u32 zero = 0;
	struct pace *pace = bpf_map_lookup_elem(&PACE, &zero);
	__u64 *most = bpf_map_lookup_elem(&MOST, &zero);
	if (!pace || !most)
		return 0;
	__u64 now = bpf_ktime_get_ns();
	if (now - pace->since >= 1000000000ULL) {
		pace->since = now;
		pace->flows = 0;
	}
	return pace->flows++ < *most;
}

/* The backend of a packet; NULL: there is none. */
ALWAYS struct backend *choose(struct packet *p, struct vip *vip, __u32 *place)
{
	struct flow *known = bpf_map_lookup_elem(&FLOW, &p->flow);
	if (known) {
		__u8 wanted = p->flow.protocol == IPPROTO_UDP ? KEEPS_UDP : KEEPS_TCP;
		/* A new connection does not go where none are taken, whoever had its ports. */
		if (p->opens)
			wanted = TAKES;
		*place = known->backend;
		struct backend *backend = bpf_map_lookup_elem(&BACKEND, place);
		if (backend && backend->epoch == known->epoch && backend->flags & wanted)
			return backend;
		if (!p->error && !bpf_map_delete_elem(&FLOW, &p->flow))
			happened(FLOWS_ENDED);
	}

	__u32 table = vip->table;
	__u32 *live = bpf_map_lookup_elem(&LIVE, &table);
	struct table *slots = live ? bpf_map_lookup_elem(&TABLE, live) : 0;
	if (!slots)
		return 0;
	__u64 slot = hash_flow(&p->flow, vip->flags) % SLOTS;
	/* The compiler knows that this holds, the kernel's verifier does not. */
	asm volatile("" : "+r"(slot));
	if (slot >= SLOTS)
		return 0;
	*place = slots->slots[slot];
	if (*place == NOBODY)
		return 0;
	struct backend *backend = bpf_map_lookup_elem(&BACKEND, place);
	if (!backend || !(backend->flags & TAKES))
		return 0;
	/* A SYN leaves no trace: what a flood of them drives out would be connections that live. The next
	 * packet of the same flow is hashed to the same slot. */
	if (p->opens || p->error)
		return backend;
	if (!may_write()) {
		happened(FLOWS_UNWRITTEN);
		return backend;
	}
	struct flow flow = { .backend = *place, .epoch = backend->epoch };
	if (!bpf_map_update_elem(&FLOW, &p->flow, &flow, BPF_ANY))
		happened(FLOWS_MADE);
	return backend;
}

/* Takes one off the hop count, so that a packet which a backend sends back does not go around for ever;
 * false when it is used up. */
ALWAYS int step(struct packet *p)
{
	if (p->v4) {
		if (p->v4->ttl <= 1)
			return 0;
		/* RFC 1624: the sum of the header grows by what the field lost. */
		__u32 check = p->v4->check + bpf_htons(0x0100);
		p->v4->check = check + (check >= 0xffff);
		p->v4->ttl--;
		return 1;
	}
	if (p->v6) {
		if (p->v6->hop_limit <= 1)
			return 0;
		p->v6->hop_limit--;
		return 1;
	}
	return 0;
}

ALWAYS int is_same(const __u8 *a, const __u8 *b)
{
	__u8 differs = 0;
#pragma unroll
	for (int i = 0; i < ETH_ALEN; i++)
		differs |= a[i] ^ b[i];
	return !differs;
}

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct packet p = {};
	if ((void *)(eth + 1) > end || parse(&p, eth, end))
		return XDP_PASS;

	struct vip_key key = { .port = p.flow.vip_port, .protocol = p.flow.protocol };
	key.address[0] = p.flow.vip[0];
	key.address[1] = p.flow.vip[1];
	key.address[2] = p.flow.vip[2];
	key.address[3] = p.flow.vip[3];
	struct vip *vip = bpf_map_lookup_elem(&VIP, &key);
	if (!vip)
		return XDP_PASS;

	/* Frames for somebody else that the switch sends everywhere, or broadcasts, are not for us. */
	__u32 interface = ctx->ingress_ifindex;
	struct link *own = bpf_map_lookup_elem(&LINK, &interface);
	if (!own || !is_same(own->mac, eth->h_dest))
		return XDP_PASS;

	/* The rest of it would go to the stack, which knows no such connection and would break it off. */
	if (p.fragment) {
		happened(FRAGMENTS);
		return XDP_DROP;
	}
	__u32 place;
	struct backend *backend = choose(&p, vip, &place);
	if (!backend) {
		happened(NO_BACKEND);
		return XDP_PASS;
	}
	if (!step(&p)) {
		happened(EXPIRED);
		return XDP_DROP;
	}
	__builtin_memcpy(eth->h_source, own->mac, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, backend->mac, ETH_ALEN);

	if (p.error)
		happened(ICMP_ERRORS);
	__u64 octets = end - (void *)eth;
	count(&VIP_COUNT, vip->counter, octets);
	count(&BACKEND_COUNT, place, octets);
	return XDP_TX;
}

/* The kernel lets only programs of a licence that suits the GPL use some of its functions. */
char _license[] SEC("license") = "Dual MIT/GPL";
