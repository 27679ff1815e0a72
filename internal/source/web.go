package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// webClients make requests by way of a checkout's route, with the certificates and credentials that git would use.
type webClients struct {
	checkout *checkout

	mu    sync.Mutex
	hosts map[string]*webClient // by scheme, host and port
}

type webClient struct {
	*http.Client
	extra string // a header field that the operator wants in every request
}

func (k *checkout) newWebClients() *webClients {
	return &webClients{checkout: k, hosts: make(map[string]*webClient)}
}

func (w *webClients) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.hosts {
		c.CloseIdleConnections()
	}
}

// do makes a request, with a credential when it is asked for one. An answer that is no success is an error.
func (w *webClients) do(ctx context.Context, r webRequest) (*http.Response, error) {
	client, err := w.to(ctx, r.address)
	if err != nil {
		return nil, err
	}
	answer, err := client.try(ctx, r, nil)
	if err == nil && answer.StatusCode == http.StatusUnauthorized && r.header["Authorization"] == "" && r.opener != "" {
		answer.Body.Close()
		var user *url.Userinfo
		if user, err = w.checkout.client.login(ctx, r.opener); err != nil {
			return nil, err
		}
		if answer, err = client.try(ctx, r, user); err == nil && answer.StatusCode == http.StatusUnauthorized {
			err = errors.New("Authentication failed") //nolint:revive,staticcheck // in git's words
		}
	}
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("the store returned error: %d", answer.StatusCode)
	}
	if err != nil && answer != nil {
		answer.Body.Close()
	}
	return answer, err
}

func (c *webClient) try(ctx context.Context, r webRequest, user *url.Userinfo) (*http.Response, error) {
	request, err := r.build(ctx)
	if err != nil {
		return nil, err
	}
	if name, value, ok := strings.Cut(c.extra, ":"); ok {
		request.Header.Set(name, strings.TrimSpace(value))
	}
	if user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	return c.Do(request)
}

// to returns the client for an address.
func (w *webClients) to(ctx context.Context, address string) (*webClient, error) {
	plain, ok := webAddress(address)
	if !ok {
		return nil, errors.New("transport 'of the store' not allowed") // in git's words
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	host := hostPart(plain)
	if c, ok := w.hosts[host]; ok {
		return c, nil
	}
	proxy, err := url.Parse(w.checkout.way.proxy.URL())
	if err != nil {
		return nil, err
	}
	settings := w.checkout.client.webSettings(ctx, address)
	trust, err := trustOf(settings)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: trust, DisableCompression: true, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8}
	c := &webClient{&http.Client{Transport: transport}, settings["http.extraheader"]}
	w.hosts[host] = c
	return c, nil
}

// webSettings returns what git's configuration and environment say of connections to an address, by names in lower case.
func (c *Client) webSettings(ctx context.Context, address string) map[string]string {
	settings := make(map[string]string)
	out, _ := c.git(ctx, command{args: []string{"config", "--null", "--get-urlmatch", "http", address}}) // which may have none
	for entry := range strings.SplitSeq(string(out), "\x00") {
		name, value, _ := strings.Cut(entry, "\n")
		settings[name] = value
	}
	for _, v := range c.environ() {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "GIT_SSL_CAINFO":
			settings["http.sslcainfo"] = value
		case "GIT_SSL_CAPATH":
			settings["http.sslcapath"] = value
		case "GIT_SSL_CERT":
			settings["http.sslcert"] = value
		case "GIT_SSL_KEY":
			settings["http.sslkey"] = value
		case "GIT_SSL_NO_VERIFY":
			settings["http.sslverify"] = "false"
		}
	}
	return settings
}

// trustOf returns which certificates a connection trusts, and the one that it shows.
func trustOf(settings map[string]string) (*tls.Config, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	switch strings.ToLower(settings["http.sslverify"]) {
	case "false", "no", "off", "0":
		trust.InsecureSkipVerify = true //nolint:gosec // so the operator wants it
	}
	var files []string
	if file := settings["http.sslcainfo"]; file != "" {
		files = append(files, file)
	}
	if dir := settings["http.sslcapath"]; dir != "" {
		found, _ := filepath.Glob(filepath.Join(dir, "*")) // of a pattern that is well-formed
		files = append(files, found...)
	}
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("SSL certificate: %w", err)
		}
		if trust.RootCAs == nil {
			trust.RootCAs = x509.NewCertPool()
		}
		trust.RootCAs.AppendCertsFromPEM(pem)
	}
	if cert := settings["http.sslcert"]; cert != "" {
		key := settings["http.sslkey"]
		if key == "" {
			key = cert
		}
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("SSL certificate: %w", err)
		}
		trust.Certificates = []tls.Certificate{pair}
	}
	return trust, nil
}

// login returns the credential that git would use for an address: one of a netrc file, or of its helpers.
func (c *Client) login(ctx context.Context, address string) (*url.Userinfo, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the store's address is not well-formed")
	}
	if user := c.netrc(u.Hostname()); user != nil && c.credential == (Credential{}) {
		return user, nil
	}
	out, err := c.git(ctx, command{args: []string{"credential", "fill"}, stdin: "url=" + address + "\n\n"})
	if err != nil {
		return nil, err
	}
	var name, password string
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "username":
			name = value
		case "password":
			password = value
		}
	}
	return url.UserPassword(name, password), nil
}

// netrc returns what the netrc file of the server's user has for a host; nil when it has nothing.
func (c *Client) netrc(host string) *url.Userinfo {
	var home string
	for _, v := range c.environ() {
		if value, ok := strings.CutPrefix(v, "HOME="); ok {
			home = value
		}
	}
	text, err := os.ReadFile(filepath.Join(home, ".netrc"))
	if err != nil {
		return nil
	}
	var name, password string
	matches, found := false, false
	words := strings.Fields(string(text))
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch words[i] {
		case "machine", "default":
			if found {
				return url.UserPassword(name, password)
			}
			matches = words[i] == "default" || next == host && host != ""
			found = matches
		case "login":
			if matches {
				name = next
			}
			i++
		case "password":
			if matches {
				password = next
			}
			i++
		}
	}
	if !found {
		return nil
	}
	return url.UserPassword(name, password)
}
