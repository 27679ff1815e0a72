package notice

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestAddresses: nothing is sent into a private network or to this machine, by whatever way it is written.
func TestAddresses(t *testing.T) {
	t.Parallel()
	allowed := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}
	for address, open := range map[string]bool{
		"203.0.113.9": true, "8.8.8.8": true, "2606:4700::1": true, "100.63.255.255": true,
		"10.1.2.3": true, "fd00:1::1": true, "::ffff:10.1.2.3": true,
		"10.2.0.1": false, "172.16.0.1": false, "192.168.0.1": false, "127.0.0.1": false, "127.1.2.3": false, "169.254.169.254": false, "0.0.0.0": false, "0.1.2.3": false,
		"100.100.100.200": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false, "192.0.0.192": false,
		"::1": false, "::": false, "fe80::1": false, "fc00::1": false, "fec0::1": false, "ff02::1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001:0:1::1": false,
	} {
		if err := checkIP(netip.MustParseAddr(address).Unmap(), allowed); (err == nil) != open {
			t.Errorf("%s: %v", address, err)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		if err := checkIP(netip.MustParsePrefix(a.String()).Addr().Unmap(), nil); err == nil {
			t.Errorf("%s of this machine is open", a)
		}
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	if got := shorten("short"); got != "short" {
		t.Error(got)
	}
	if got := shorten(strings.Repeat("演", 1000)); len(got) > maxText+3 || !utf8.ValidString(got) || !strings.HasSuffix(got, "演…") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}
