package dialer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(t testing.TB, texts string) []netip.Prefix {
	t.Helper()
	networks, err := ParseNetworks("--networks", strings.Fields(texts))
	if err != nil {
		t.Fatal(err)
	}
	return networks
}

const private = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7"

// The addresses of the machine of the tests below.
const own = "127.0.0.1 ::1 10.0.0.5 203.0.113.5 fd00::5 fe80::5 2001:67c::5 100.64.0.5"

// TestAllowed: what an operator has not named is closed, in whatever form it is written.
func TestAllowed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		networks     string
		open, closed string
	}{
		{private, "8.8.8.8 203.0.113.9 2606:4700::1 100.63.255.255 100.128.0.0 169.253.0.1 169.255.0.1 64:ff9b::808:808 ::ffff:8.8.8.8", ""},
		{private, "10.1.2.3 172.16.0.1 172.31.255.255 192.168.0.1 fd12::1 fc00::1 ::ffff:10.1.2.3 64:ff9b::a01:203", ""},
		{private, "", "127.0.0.1 127.1.2.3 127.255.255.255 ::1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::7f00:1 2002:7f00:1:: ::ffff:0:7f00:1"},
		{private, "", "0.0.0.0 0.1.2.3 :: ::ffff:0.0.0.0 64:ff9b::"},
		{private, "", "169.254.169.254 169.254.0.1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1 fe80::1 fe80::1%lo fe80::a9fe:a9fe%eth0 febf::1 fec0::1"},
		{private, "", "fd00:ec2::254 fd20:ce::254 fd00:42::42 100.100.100.200 168.63.129.16 192.0.0.192 ::ffff:100.100.100.200"},
		{private, "", "224.0.0.1 239.255.255.255 ff02::1 ff05::2 255.255.255.255 240.0.0.1 ::ffff:255.255.255.255"},
		{private, "", "100.64.0.1 100.127.255.255 192.0.0.1 192.88.99.1 198.18.0.1 198.19.255.255 100::1 2001:0:1::1 5f00::1 4000::1 1::1"},
		{private, "", "2001:67c::5efe:7f00:1 2001:67c::200:5efe:a9fe:a9fe"},
		{private, "2001:67c::5efe:808:808", "10.0.0.5 ::ffff:10.0.0.5 203.0.113.5 fd00::5 2001:67c::5 64:ff9b::cb00:7105 64:ff9b::a00:5"},

		{"none", "8.8.8.8 2606:4700::1", "10.1.2.3 172.16.0.1 192.168.0.1 fd12::1 127.0.0.1 64:ff9b::a01:203"},
		{"10.1.0.0/16", "10.1.2.3 ::ffff:10.1.2.3 64:ff9b::a01:203 8.8.8.8", "10.2.0.1 10.0.0.5 192.168.0.1 fd12::1 127.0.0.1"},
		{"127.0.0.0/8", "127.0.0.1 127.9.9.9 ::ffff:127.0.0.1 8.8.8.8", "::1 10.1.2.3 0.0.0.0 10.0.0.5"},
		{"127.0.0.1 ::1", "127.0.0.1 ::1", "127.0.0.2 :: 10.1.2.3"},
		{"10.0.0.5 203.0.113.5 fd00::5", "10.0.0.5 203.0.113.5 fd00::5", "2001:67c::5 10.0.0.6"},
		{"169.254.0.0/16", "169.254.0.1", "169.254.169.254 127.0.0.1"},
		{"169.254.169.254", "169.254.169.254", "169.254.169.253"},
		{"fe80::/10", "fe80::1 fe80::1%eth0", "fe80::5 fe80::5%eth0 fec0::1"},
		{"100.64.0.0/10", "100.64.0.1", "100.64.0.5 100.100.100.200"},
		// A network that is wider than a range does not name the range.
		{"0.0.0.0/0 ::/0", "10.1.2.3 fd12::1 8.8.8.8 4000::1", "127.0.0.1 ::1 0.0.0.0 169.254.169.254 10.0.0.5 100.64.0.1 fe80::1 fd00:ec2::254 2002:7f00:1:: 224.0.0.1"},
		{"64:ff9b::/96", "64:ff9b::808:808", "64:ff9b::7f00:1 64:ff9b::a01:203"},
	} {
		for _, address := range strings.Fields(tt.open + " closed: " + tt.closed) {
			if address == "closed:" {
				continue
			}
			want := strings.Contains(" "+tt.open+" ", " "+address+" ")
			if got := allowed(netip.MustParseAddr(address), prefixes(t, tt.networks), prefixes(t, own)); got != want {
				t.Errorf("with %s, %s is open: %v, want %v", tt.networks, address, got, want)
			}
		}
	}
}

// TestOwnAddresses: none of this machine's addresses is open.
func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	all, err := ownAddresses()
	if err != nil || len(all) == 0 {
		t.Fatalf("%v, %v", all, err)
	}
	d := New("--networks", Private)
	for _, p := range all {
		if _, err := d.Resolve(t.Context(), p.Addr().String()); Refused(err) == nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestLiteral(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"127.0.0.1": "127.0.0.1", "127.0.0.1.": "127.0.0.1", "127.1": "127.0.0.1", "127.0.1": "127.0.0.1", "2130706433": "127.0.0.1", "0x7f000001": "127.0.0.1", "017700000001": "127.0.0.1",
		"0x7f.1": "127.0.0.1", "0177.0.0.01": "127.0.0.1", "0X7F.0.0.0x1": "127.0.0.1", "127.65535": "127.0.255.255", "0": "0.0.0.0", "169.254.43518": "169.254.169.254",
		"[::1]": "::1", "::1": "::1", "0:0:0:0:0:0:0:1": "::1", "[fe80::1%eth0]": "fe80::1%eth0", "::ffff:127.0.0.1": "::ffff:127.0.0.1", "[::ffff:7f00:1]": "::ffff:127.0.0.1",
		"": "", "git.example.org": "", "1.2.3.4.5": "", "256.1.1.1": "", "1.2.3.256": "", "4294967296": "", "127.16777216": "", "a.1": "", "0x": "", "1..2": "", "-1": "", "0b1": "", "0o17": "", "1_0": "", "08": "", "localhost": "",
	} {
		got, ok := literal(host)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v, %v, want %q", host, got, ok, want)
		}
	}
}

// fake is a dialer without a network.
type fake struct {
	*Dialer
	looked, dialled []string
}

// newFake returns a dialer that knows some names. Answers beyond the first are for later questions.
func newFake(networks []netip.Prefix, names map[string][]string) *fake {
	f := &fake{Dialer: New("--networks", networks)}
	f.own = func() ([]netip.Prefix, error) { return nil, nil }
	f.resolve = func(_ context.Context, name string) (out []netip.Addr, err error) {
		f.looked = append(f.looked, name)
		answers := names[name]
		if len(answers) == 0 {
			return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		}
		if len(answers) > 1 {
			names[name] = answers[1:]
		}
		for _, ip := range strings.Fields(answers[0]) {
			out = append(out, netip.MustParseAddr(ip))
		}
		return out, nil
	}
	f.dial = func(_ context.Context, network, address string) (net.Conn, error) {
		f.dialled = append(f.dialled, address)
		if strings.HasSuffix(address, ":1") {
			return nil, errors.New("connection refused")
		}
		inner, outer := net.Pipe()
		outer.Close()
		return inner, nil
	}
	return f
}

// TestDial: what was judged is what is connected to, and what is refused is neither connected to nor told apart.
func TestDial(t *testing.T) {
	t.Parallel()
	names := func() map[string][]string {
		return map[string][]string{
			"git.example.org": {"10.1.2.3 fd12::1"}, "mixed.example.org": {"8.8.8.8 127.0.0.1"}, "inner.example.org": {"127.0.0.1"}, "meta.example.org": {"169.254.169.254"},
			"rebind.example.org": {"8.8.8.8", "127.0.0.1"}, "mapped.example.org": {"::ffff:127.0.0.1"},
		}
	}
	for address, want := range map[string][]string{
		"git.example.org:22": {"10.1.2.3:22"}, "git.example.org:1": {"10.1.2.3:1", "[fd12::1]:1"}, "rebind.example.org:80": {"8.8.8.8:80"}, "10.9.8.7:80": {"10.9.8.7:80"}, "167838211:80": {"10.1.2.3:80"},
		"mixed.example.org:80": nil, "inner.example.org:80": nil, "inner.example.org:1": nil, "meta.example.org:80": nil, "mapped.example.org:80": nil,
		"localhost:80": nil, "LOCALHOST.:80": nil, "a.localhost:80": nil, "127.1:80": nil, "2130706433:80": nil, "0x7f.1:80": nil, "127.0.0.1.:80": nil, "[::1]:80": nil, "[::]:80": nil, "0.0.0.0:80": nil, "[fe80::1%lo]:80": nil, "[::ffff:127.0.0.1]:1": nil,
	} {
		f := newFake(Private, names())
		conn, err := f.DialContext(t.Context(), "tcp", address)
		if diff := cmp.Diff(want, f.dialled); diff != "" {
			t.Errorf("%s: %s", address, diff)
		}
		if refused := Refused(err); (refused != nil) != (want == nil) || refused != nil && refused.Error() != (&RefusedError{"--networks"}).Error() {
			t.Errorf("%s: %v", address, err)
		}
		if conn != nil {
			conn.Close()
		}
		if len(f.looked) > 1 {
			t.Errorf("%s was looked up as %v", address, f.looked)
		}
	}
}

func TestUnknownName(t *testing.T) {
	t.Parallel()
	f := newFake(Private, nil)
	_, err := f.DialContext(t.Context(), "tcp", "nobody.example.org:80")
	if unknown, ok := errors.AsType[*net.DNSError](err); !ok || !unknown.IsNotFound {
		t.Error(err)
	}
	if err := f.Check(t.Context(), "nobody.example.org"); err != nil {
		t.Errorf("an unknown name is refused: %v", err)
	}
	if err := f.Check(t.Context(), "127.1"); Refused(err) == nil {
		t.Errorf("127.1: %v", err)
	}
	if _, err := f.DialContext(t.Context(), "udp", "8.8.8.8:53"); err == nil {
		t.Error("udp was dialled")
	}
}

func TestParseNetworks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.1.2.3/8": "10.0.0.0/8", "10.1.2.3": "10.1.2.3/32", "::1": "::1/128", "fd00::1/8": "fd00::/8", "::ffff:10.0.0.1": "10.0.0.1/32",
		"": "", "10": "", "10.0.0.0/33": "", "fe80::1%eth0": "", "::ffff:10.0.0.0/104": "", "git.example.org": "",
	} {
		got, err := ParseNetworks("--networks", []string{text})
		if (err == nil) != (want != "") || err == nil && got[0].String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "--networks: ") {
			t.Error(err)
		}
	}
	if got, err := ParseNetworks("--networks", []string{"none"}); len(got) != 0 || err != nil {
		t.Errorf("none: %v, %v", got, err)
	}
	if _, err := ParseNetworks("--networks", []string{"10.0.0.0/8", "none"}); err == nil {
		t.Error("none was taken together with a network")
	}
}
