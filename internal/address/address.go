// Package address tells where a request comes from: the source that limits count by, and the client behind trusted proxies.
package address

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxText is how much of an address that is none counts; the rest only takes memory.
const maxText = 128

// Source returns what stands for the place that a request came from: an address without its port, and of an IPv6 address the
// half that a site is given, because one site can use all of the other half.
func Source(remote string) string {
	addr, ok := parse(remote)
	if !ok {
		host, _, err := net.SplitHostPort(remote)
		if err != nil {
			host = remote
		}
		return host[:min(len(host), maxText)]
	}
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return prefix.Addr().String()
}

// parse reads an address with or without a port, in brackets or not.
func parse(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if with, err := netip.ParseAddrPort(text); err == nil {
		return with.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return addr.Unmap().WithZone(""), err == nil
}

// Proxies are the networks whose word about a request's client is taken.
type Proxies []netip.Prefix

// Trust reports whether an address is that of a trusted proxy.
func (p Proxies) Trust(remote string) bool {
	if len(p) == 0 {
		return false
	}
	addr, ok := parse(remote)
	return ok && p.contain(addr)
}

func (p Proxies) contain(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// Client returns the address that a request comes from, in the form of [http.Request.RemoteAddr]. Only a trusted proxy may name
// another one than its own: the last address in X-Forwarded-For or Forwarded that is not of a trusted proxy either, since a
// client may have written those before it; or that in X-Real-IP, where there is no such header. Where two headers disagree, one
// of them is the client's own, so the address of the proxy counts.
func (p Proxies) Client(r *http.Request) string {
	if !p.Trust(r.RemoteAddr) {
		return r.RemoteAddr
	}
	chain, forwarded := list(r.Header["X-Forwarded-For"]), forwardedFor(r.Header["Forwarded"])
	one, two := p.last(chain), p.last(forwarded)
	switch {
	case len(chain) > 0 && len(forwarded) > 0:
		if one == "" || one != two {
			return r.RemoteAddr
		}
	case len(forwarded) > 0:
		one = two
	case len(chain) == 0:
		if real := r.Header["X-Real-Ip"]; len(real) == 1 {
			one = p.last(real)
		}
	}
	if one == "" {
		return r.RemoteAddr
	}
	return one
}

// Hint returns the client that the last proxy before an installation without trusted ones may have named. Anybody can write
// such a header, so it must not be believed. With trusted proxies there is no hint.
func (p Proxies) Hint(r *http.Request) string {
	if len(p) > 0 {
		return ""
	}
	for _, chain := range [][]string{list(r.Header["X-Forwarded-For"]), forwardedFor(r.Header["Forwarded"]), r.Header["X-Real-Ip"]} {
		if len(chain) > 0 {
			return chain[len(chain)-1]
		}
	}
	return ""
}

// last returns the last address of a chain that is not of a trusted proxy; the first when all are; nothing when what stands
// there is no address.
func (p Proxies) last(chain []string) (found string) {
	for _, hop := range slices.Backward(chain) {
		addr, ok := parse(hop)
		if !ok {
			return ""
		}
		if found = addr.String(); !p.contain(addr) {
			return found
		}
	}
	return found
}

// list returns the elements of headers that are lists.
func list(values []string) (out []string) {
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			out = append(out, strings.TrimSpace(element))
		}
	}
	return out
}

// forwardedFor returns the "for" of every element of Forwarded headers (RFC 7239); an empty one where there is none.
func forwardedFor(values []string) (out []string) {
	for _, element := range list(values) {
		node := ""
		for pair := range strings.SplitSeq(element, ";") {
			if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(name, "for") {
				node = strings.Trim(value, `"`)
			}
		}
		out = append(out, node)
	}
	return out
}
