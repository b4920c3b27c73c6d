"""What every server is given: the same zones, the same places, the same networks.

bench.example   1,000 static names and one more, served from a zone file
signed.example  the same with signatures, where a server can sign
gslb.example    one name steered by place and one by weight, where a server can steer
"""

import random

TTL = 60

# Where answers are: name, address, latitude, longitude.
SITES = [
    ("eu", "192.0.2.1", 50.11, 8.68),
    ("us", "192.0.2.2", 39.04, -77.49),
    ("usw", "192.0.2.3", 37.34, -121.89),
    ("sa", "192.0.2.4", -23.55, -46.63),
    ("ap", "192.0.2.5", 1.35, 103.82),
    ("jp", "192.0.2.6", 35.68, 139.69),
]

# Where clients are: country, continent, latitude, longitude, nearest site. Every spot of a country is
# within 4 degrees of its centre, and its nearest site is the same by any of them, so that servers that
# know countries only give the same answers as those that measure distances.
COUNTRIES = [
    ("DE", "EU", 51.0, 10.0, "eu"),
    ("FR", "EU", 46.5, 2.5, "eu"),
    ("GB", "EU", 52.5, -1.5, "eu"),
    ("PL", "EU", 52.0, 19.0, "eu"),
    ("IT", "EU", 43.0, 12.0, "eu"),
    ("SE", "EU", 60.0, 15.0, "eu"),
    ("CA", "NA", 45.5, -75.0, "us"),
    ("US", "NA", 40.0, -82.0, "us"),
    ("BM", "NA", 32.3, -65.0, "us"),
    ("MX", "NA", 27.0, -109.0, "usw"),
    ("BR", "SA", -16.0, -48.0, "sa"),
    ("AR", "SA", -35.0, -61.0, "sa"),
    ("UY", "SA", -33.0, -56.0, "sa"),
    ("MY", "AS", 4.0, 102.0, "ap"),
    ("TH", "AS", 15.0, 101.0, "ap"),
    ("ID", "AS", -6.0, 107.0, "ap"),
    ("IN", "AS", 19.0, 78.0, "ap"),
    ("AU", "OC", -25.0, 134.0, "ap"),
    ("KR", "AS", 37.0, 127.5, "jp"),
    ("JP", "AS", 36.0, 138.0, "jp"),
]

# Addresses by weight.
WEIGHTS = [("192.0.2.11", 10), ("192.0.2.12", 20), ("192.0.2.13", 30), ("192.0.2.14", 40)]

# Prefix lengths and how many of a hundred networks are drawn with each. Where one does not fit the
# place that is left, it is made longer, so that there are some 1,500,000 networks, most of them /24.
LENGTHS = [(16, 15), (18, 20), (20, 25), (22, 20), (24, 20)]


def networks(few):
    """Rows of an own-networks CSV that cover 1.0.0.0 to 223.255.255.255, each network 256 times as
    large where `few` will do."""
    rng = random.Random(20261121)
    spots = []
    for country, continent, lat, lon, _ in COUNTRIES:
        for _ in range(250):
            # Never a whole number: it must be a floating-point number in every reader's eyes.
            spots.append(
                f"{continent},{country},{lat + rng.randint(-4000, 3999) / 1000 + 0.0005:.4f},"
                f"{lon + rng.randint(-4000, 3999) / 1000 + 0.0005:.4f}"
            )
    lengths = [length - 8 * few for length, share in LENGTHS for _ in range(share)]
    yield "network,continent,country,latitude,longitude\n"
    at, end = 1 << 24, 224 << 24
    while at < end:
        length = rng.choice(lengths)
        while at % (1 << (32 - length)):
            length += 1
        yield f"{at >> 24}.{at >> 16 & 255}.{at >> 8 & 255}.{at & 255}/{length},{rng.choice(spots)}\n"
        at += 1 << (32 - length)


def zone(extra):
    """A zone file; names in it are relative."""
    return (
        f"$TTL {TTL}\n"
        "@ 3600 IN SOA ns1 hostmaster 1 3600 600 604800 60\n"
        "@ 3600 IN NS ns1\n"
        "ns1 3600 IN A 192.0.2.53\n" + extra
    )


def static_zone():
    names = "".join(f"n{i:03} IN A 198.51.100.{i % 250 + 1}\n" for i in range(1000))
    return zone("www IN A 192.0.2.80\n" + names)


def steered_zone():
    """Of the steered names the addresses that a server falls back to."""
    return zone("geo IN A 192.0.2.1\nweighted IN A 192.0.2.11\n")


def origin(zone_name, text):
    """Adds $ORIGIN, for servers that are not told it otherwise."""
    return f"$ORIGIN {zone_name}.\n{text}"
