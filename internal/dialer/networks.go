package dialer

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"atelier/internal/fault"
)

// Private are the networks that organizations number for themselves.
var Private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("fc00::/7"),
}

// special are the ranges of which only those addresses are open that a network within the range names.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), // this machine, to many systems
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), // link-local
	netip.MustParsePrefix("100.64.0.0/10"),  // of providers, who have services of their own there
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), // relays of 6to4
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("224.0.0.0/4"), // multicast
	netip.MustParsePrefix("240.0.0.0/4"), // reserved, and the broadcast address
	// Metadata of clouds, which hold credentials of the machine.
	netip.MustParsePrefix("169.254.169.254/32"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("192.0.0.192/32"),
	netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("fd20:ce::/32"),
	netip.MustParsePrefix("fd00:42::/32"),

	netip.MustParsePrefix("::/96"),           // unspecified, loopback, and IPv4 addresses in an old form
	netip.MustParsePrefix("::ffff:0:0:0/96"), // translated IPv4 addresses
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/32"), // Teredo
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("fe80::/10"), // link-local
	netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("ff00::/8"), // multicast
}

// global is where all public IPv6 addresses are.
var global = netip.MustParsePrefix("2000::/3")

// nat64 holds IPv4 addresses, each of which is reached through a translator.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// ParseNetworks reads networks such as 10.0.0.0/8, and single addresses. The word none stands for no network. Errors name the flag.
func ParseNetworks(flag string, texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if ip, single := netip.ParseAddr(text); single == nil && ip.Zone() == "" {
			ip = ip.Unmap()
			network, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		switch {
		case text == "none" && len(texts) == 1:
			return nil, nil
		case err != nil || network.Addr().Is4In6():
			return nil, fault.Field(flag, "must be none, or networks such as 10.0.0.0/8 or fd00::/8, or addresses, found %q", text)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// allowed reports whether an address may be reached when some networks are named and own are the addresses of this machine.
//
// A public address may, and one of another kind if a network names it. A wide network does not name what lies within it and is more
// dangerous than the rest: for an address of a special range, the network must be within that range, and for an address of this
// machine, other than a loopback one, it must be that address alone.
func allowed(ip netip.Addr, named, own []netip.Prefix) bool {
	ip = ip.WithZone("").Unmap()
	if nat64.Contains(ip) {
		return allowed(last4(ip), named, own)
	}
	if isatap(ip) && !allowed(last4(ip), named, own) {
		return false
	}
	ranges := rangesOf(ip, own)
	for _, r := range ranges {
		if !slices.ContainsFunc(named, func(n netip.Prefix) bool { return within(n, r) && n.Contains(ip) }) {
			return false
		}
	}
	return true
}

// rangesOf returns the ranges of which an address is open only if a network within them names it.
func rangesOf(ip netip.Addr, own []netip.Prefix) []netip.Prefix {
	contains := func(p netip.Prefix) bool { return p.Contains(ip) }
	var ranges []netip.Prefix
	for _, p := range special {
		if p.Contains(ip) {
			ranges = append(ranges, p)
		}
	}
	if slices.ContainsFunc(own, contains) && !ip.IsLoopback() {
		ranges = append(ranges, netip.PrefixFrom(ip, ip.BitLen()))
	}
	if slices.ContainsFunc(Private, contains) || ip.Is6() && !global.Contains(ip) {
		ranges = append(ranges, netip.PrefixFrom(ip, 0).Masked()) // any network may name it
	}
	return ranges
}

func within(inner, outer netip.Prefix) bool {
	return inner.Bits() >= outer.Bits() && outer.Contains(inner.Addr())
}

// isatap reports whether an address is one that tunnels lead to the IPv4 address at its end.
func isatap(ip netip.Addr) bool {
	if !ip.Is6() {
		return false
	}
	b := ip.As16()
	return binary.BigEndian.Uint32(b[8:])&^0x02000000 == 0x5efe
}

// last4 returns the IPv4 address at the end of an IPv6 one.
func last4(ip netip.Addr) netip.Addr {
	b := ip.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}

// literal returns the address that a host is, also in the forms that the C library takes for one: with fewer than four numbers, and
// with hexadecimal and octal ones.
func literal(host string) (netip.Addr, bool) {
	host = strings.TrimSuffix(host, ".")
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		width := 8
		if i == len(parts)-1 {
			width = 8 * (5 - len(parts))
		}
		n, err := strconv.ParseUint(numeral(part), 0, width)
		if err != nil || strings.Contains(part, "_") {
			return netip.Addr{}, false
		}
		value = value<<width | n
	}
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(value)))), true //nolint:gosec // of 32 bits
}

// numeral is a number in the form of C, of which Go has more than one for octal ones and another one for binary ones.
func numeral(text string) string {
	if len(text) > 1 && text[0] == '0' && strings.ContainsAny(text[1:2], "bBoO") {
		return ""
	}
	return text
}
