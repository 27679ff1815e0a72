package source

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"atelier/internal/dialer"
	"atelier/internal/fault"
)

// route is the way on which git commands reach repositories: through a proxy that judges where they lead, as a rule.
type route struct {
	proxy *dialer.Proxy // nil when git connects by itself
	store string        // address of a gateway to large files; empty when there is none
}

// openRoute opens a way for one command, or for those of one checkout.
func (c *Client) openRoute() (route, error) {
	if c.dialer == nil {
		return route{}, nil
	}
	proxy, err := c.dialer.StartProxy(c.upstream())
	return route{proxy: proxy}, err
}

func (r route) close() {
	if r.proxy != nil {
		r.proxy.Close()
	}
}

// settings are the configuration by which git and git-lfs take the route.
func (r route) settings() []setting {
	if r.proxy == nil {
		return nil
	}
	list := []setting{
		{"http.proxy", r.proxy.URL()},
		{"http.proxyAuthMethod", "basic"},
		{"credential.http://" + r.proxy.Address() + ".helper", ""}, // or git would have the proxy's password stored
	}
	if r.store != "" {
		list = append(list, setting{"lfs.url", r.store},
			setting{"lfs.transfer.maxretries", "3"}, setting{"lfs.transfer.maxretrydelay", "1"}) // what is refused stays so
	}
	return list
}

// variables are those by which ssh takes the route.
func (r route) variables() []string {
	if r.proxy == nil {
		return nil
	}
	return r.proxy.SSHEnviron()
}

// failure returns why a command got no connection, in words for clients, when the proxy knows; nil when it does not.
func (r route) failure(subject string) error {
	if r.proxy == nil {
		return nil
	}
	return unreached(subject, r.proxy.Failure())
}

// unreached puts the error of a dialer into words for clients.
func unreached(subject string, err error) error {
	switch refused := dialer.Refused(err); {
	case refused != nil:
		return fault.New(fault.Invalid, "%s cannot be read: %v", subject, refused)
	case err != nil:
		return fault.Wrap(err, fault.Unavailable, "%s cannot be read: the name of its host is not known", subject)
	}
	return nil
}

// judge refuses an address that ssh would connect to, where the operator's own configuration of ssh may name another way than the
// route. All other connections are judged when they are made.
func (c *Client) judge(ctx context.Context, address string) error {
	host := sshHost(address)
	if c.dialer == nil || host == "" {
		return nil
	}
	err := c.dialer.Check(ctx, host)
	if dialer.Refused(err) != nil {
		return unreached("the repository "+address, err)
	}
	return err
}

// sshHost returns the host of an address that is reached by ssh; empty for other addresses.
func sshHost(address string) string {
	if u, err := url.Parse(address); err == nil && u.Scheme == "ssh" {
		return u.Hostname()
	}
	if parts := scpAddress.FindStringSubmatch(address); parts != nil && !strings.Contains(address, "://") {
		return parts[2]
	}
	return ""
}

// operatorProxy returns what chooses the proxy for an address, from the server's environment and git's configuration, in the way of
// git.
func operatorProxy(server []string, configured string) dialer.Upstream {
	values := make(map[string]string)
	for _, v := range server {
		name, value, _ := strings.Cut(v, "=")
		values[name] = value
	}
	all := cmp.Or(values["all_proxy"], values["ALL_PROXY"])
	config := httpproxy.Config{
		HTTPProxy:  cmp.Or(configured, values["http_proxy"], all),
		HTTPSProxy: cmp.Or(configured, values["https_proxy"], values["HTTPS_PROXY"], all),
		NoProxy:    cmp.Or(values["no_proxy"], values["NO_PROXY"]),
	}
	return config.ProxyFunc()
}

// configFile finds the file that an ssh command names instead of the usual ones.
var configFile = regexp.MustCompile(`\s-F\s*([^\s'"\\$]+)`)

// routed makes an ssh command connect by way of the proxy, unless the operator's configuration of ssh says how a host is reached. That
// configuration is read first, and ssh takes the first value that it finds.
func (c *Client) routed(sshCommand string) string {
	if words := strings.Fields(sshCommand); c.dialer == nil || len(words) == 0 || path.Base(words[0]) != "ssh" {
		return sshCommand // a program of the operator's own, which may know no such option
	}
	include := "~/.ssh/config /etc/ssh/ssh_config"
	if named := configFile.FindStringSubmatch(sshCommand); named != nil {
		include = named[1]
		sshCommand = strings.Replace(sshCommand, named[0], "", 1)
	}
	file := c.dir + "/ssh_config"
	option, err := dialer.SSHOption()
	if err == nil {
		err = os.WriteFile(file, []byte("Include "+include+"\nMatch all\n"+option+"\n"), 0o600)
	}
	if err != nil {
		return "false" // without the file there would be no judge
	}
	return sshCommand + " -F '" + strings.ReplaceAll(file, "'", `'\''`) + "'"
}
