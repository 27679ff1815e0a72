package address

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestSource(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:5000": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::", "2001:db8:1:2::9": "2001:db8:1:2::", "[fe80::1%eth0]:80": "fe80::",
		"": "", "@": "@", "localhost:80": "localhost",
	} {
		if got := Source(remote); got != want {
			t.Errorf("Source(%q) = %q, want %q", remote, got, want)
		}
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	const proxy, stranger = "10.0.0.1:4000", "203.0.113.66:4000"
	trusted := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	header := func(pairs ...string) http.Header {
		h := make(http.Header)
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, test := range map[string]struct {
		remote string
		header http.Header
		want   string
	}{
		"no proxy":                   {stranger, header("X-Forwarded-For", "198.51.100.1"), stranger},
		"a proxy that says nothing":  {proxy, header(), proxy},
		"one address":                {proxy, header("X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
		"what the client wrote":      {proxy, header("X-Forwarded-For", "192.0.2.9, 198.51.100.1"), "198.51.100.1"},
		"two proxies":                {proxy, header("X-Forwarded-For", "192.0.2.9, 198.51.100.1, 10.2.3.4"), "198.51.100.1"},
		"two headers of one name":    {proxy, header("X-Forwarded-For", "192.0.2.9", "X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
		"only proxies":               {proxy, header("X-Forwarded-For", "10.9.9.9, 10.2.3.4"), "10.9.9.9"},
		"no address":                 {proxy, header("X-Forwarded-For", "198.51.100.1, unknown"), proxy},
		"an empty element":           {proxy, header("X-Forwarded-For", "198.51.100.1,"), proxy},
		"with a port":                {proxy, header("X-Forwarded-For", "198.51.100.1:99"), "198.51.100.1"},
		"IPv6":                       {"[fd00::1]:80", header("X-Forwarded-For", "2001:db8::1"), "2001:db8::1"},
		"Forwarded":                  {proxy, header("Forwarded", `for=192.0.2.9, FOR="[2001:db8::1]:47";proto=https;by=10.0.0.1`), "2001:db8::1"},
		"Forwarded without for":      {proxy, header("Forwarded", `for=192.0.2.9, proto=https`), proxy},
		"Forwarded that hides":       {proxy, header("Forwarded", `for=_hidden`), proxy},
		"both, agreeing":             {proxy, header("Forwarded", "for=198.51.100.1", "X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
		"both, disagreeing":          {proxy, header("Forwarded", "for=192.0.2.9", "X-Forwarded-For", "198.51.100.1"), proxy},
		"X-Real-IP":                  {proxy, header("X-Real-Ip", "198.51.100.1"), "198.51.100.1"},
		"X-Real-IP beside the other": {proxy, header("X-Real-Ip", "192.0.2.9", "X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
		"two of X-Real-IP":           {proxy, header("X-Real-Ip", "192.0.2.9", "X-Real-Ip", "198.51.100.1"), proxy},
	} {
		if got := trusted.Client(&http.Request{RemoteAddr: test.remote, Header: test.header}); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	if got := Proxies(nil).Client(&http.Request{RemoteAddr: proxy, Header: header("X-Forwarded-For", "198.51.100.1")}); got != proxy {
		t.Errorf("without trusted proxies: %s", got)
	}
}
