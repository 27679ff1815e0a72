// Package dialer makes every connection that the server makes for one of its users: to repositories, to the robots of chat services, and
// whatever else a user may name. It judges the addresses first, and connects to an address that it has judged, so that a name that
// stands for another address a moment later, or a redirection, leads to no place that is closed.
package dialer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Dialer connects to public addresses, and to others that an operator has named. It may be used by many goroutines.
type Dialer struct {
	flag     string
	networks []netip.Prefix
	resolve  func(ctx context.Context, name string) ([]netip.Addr, error)
	own      func() ([]netip.Prefix, error)
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns a dialer that goes to some networks besides the public one. The flag is the one by which the operator names them.
func New(flag string, networks []netip.Prefix) *Dialer {
	return &Dialer{
		flag: flag, networks: networks, own: ownAddresses, dial: (&net.Dialer{}).DialContext,
		resolve: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
	}
}

// RefusedError is the error of a host that is not connected to. It says nothing of the host: whether a name is known, and a port open,
// makes no difference.
type RefusedError struct {
	Flag string // which the operator opens networks with
}

// Error implements error.
func (e *RefusedError) Error() string {
	return "it leads to this server or to a network that is closed; whoever runs the server can open it with " + e.Flag
}

// Refused returns the refusal in an error's chain; nil when there is none.
func Refused(err error) *RefusedError {
	e, _ := errors.AsType[*RefusedError](err)
	return e
}

// ownAddresses returns those of all interfaces of this machine.
func ownAddresses() ([]netip.Prefix, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("find out the addresses of this machine: %w", err)
	}
	var own []netip.Prefix
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			ip := p.Addr().WithZone("").Unmap()
			own = append(own, netip.PrefixFrom(ip, ip.BitLen()))
		}
	}
	return own, nil
}

// Resolve returns the addresses of a host, all of which may be connected to. If one of them may not, the error is a [*RefusedError]; if
// the name is not known, it is a [*net.DNSError].
func (d *Dialer) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	addresses, err := d.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	own, err := d.own()
	if err != nil {
		return nil, err
	}
	for _, ip := range addresses {
		if !allowed(ip, d.networks, own) {
			return nil, &RefusedError{d.flag}
		}
	}
	return addresses, nil
}

func (d *Dialer) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, ok := literal(host); ok {
		return []netip.Addr{ip}, nil
	}
	if name := strings.ToLower(strings.TrimSuffix(host, ".")); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil // whatever a resolver makes of it
	}
	addresses, err := d.resolve(ctx, host)
	if err == nil && len(addresses) == 0 {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addresses, err
}

// Check returns the error of [Dialer.Resolve] if a host is refused. One whose name is not known is not.
func (d *Dialer) Check(ctx context.Context, host string) error {
	if _, err := d.Resolve(ctx, host); Refused(err) != nil {
		return err
	}
	return nil
}

// patience is how long a connection may take to come about, over all addresses of a host.
const patience = 30 * time.Second

// DialContext connects to a host and port over TCP, like [net.Dialer.DialContext], at an address that it has judged.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if network != "tcp" {
		return nil, net.UnknownNetworkError(network)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	addresses, err := d.Resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	end, _ := ctx.Deadline()
	for i, ip := range addresses {
		part, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(len(addresses)-i))
		var conn net.Conn
		conn, err = d.dial(part, network, net.JoinHostPort(ip.String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}
