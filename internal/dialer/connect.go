package dialer

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
)

// connectVariable holds the address of the proxy for a program that connects one of ssh's connections.
const connectVariable = "ATELIER_CONNECT_PROXY"

// connectArgument makes this program connect its standard input and output with a host.
const connectArgument = "connect-through-proxy"

// The program that the server is, or a test, is also the one that ssh starts as its ProxyCommand: another one need not be installed.
func init() {
	address := os.Getenv(connectVariable)
	if len(os.Args) != 4 || os.Args[1] != connectArgument || address == "" {
		return
	}
	if err := connectStandard(address, net.JoinHostPort(os.Args[2], os.Args[3])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// SSHOption returns the line of an ssh_config that has ssh connect through a proxy, with the variables of [Proxy.SSHEnviron].
func SSHOption() (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the server's own program: %w", err)
	}
	quoted := "'" + strings.ReplaceAll(strings.ReplaceAll(program, "'", `'\''`), "%", "%%") + "'"
	return "ProxyCommand " + quoted + " " + connectArgument + " %h %p", nil
}

// SSHEnviron returns the variables by which ssh finds the proxy. Its connections never take a way through the operator's HTTP proxies.
func (p *Proxy) SSHEnviron() []string { return []string{connectVariable + "=" + p.address(direct)} }

// connectStandard connects standard input and output with an address, through a proxy.
func connectStandard(proxy, address string) error {
	via, err := url.Parse(proxy)
	if err != nil {
		return fmt.Errorf("%s is not the address of a proxy", connectVariable)
	}
	conn, err := connect(context.Background(), via, address)
	if err != nil {
		return fmt.Errorf("no connection")
	}
	defer conn.Close()
	go func() {
		if _, err := io.Copy(conn, os.Stdin); err == nil {
			_ = conn.(*bufferedConn).CloseWrite() // the other end is told, or gone
		}
	}()
	_, err = io.Copy(os.Stdout, conn)
	return err // and what is still read from standard input has nowhere to go
}
