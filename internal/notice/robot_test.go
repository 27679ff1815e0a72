package notice

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"atelier/internal/dialer"
)

// TestUnsent: what a user is told of an address is the same for all that cannot be sent to, and has no resolved address in it.
func TestUnsent(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut.Close()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	const closed = "it leads to this server or to a network that is closed; whoever runs the server can open it with --notice-networks"
	for _, tt := range []struct {
		networks []netip.Prefix
		webhook  string
		want     string
	}{
		{nil, "http://" + open.Addr().String() + "/hook", closed},
		{nil, "http://" + shut.Addr().String() + "/hook", closed},
		{nil, "http://localhost/hook", closed},
		{nil, "http://10.1.2.3/hook", closed},
		{loopback, "http://" + shut.Addr().String() + "/hook", "its host does not answer"},
		{loopback, "http://host.invalid/hook", "the name of its host is not known"},
	} {
		err := NewRobots(dialer.New("--notice-networks", tt.networks)).send(t.Context(), WeCom, Config{Webhook: tt.webhook}, "text", time.Now())
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.webhook, err, tt.want)
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
