package main

import (
	"net/netip"

	"atelier/internal/dialer"
)

// networkFlags say which networks the server goes to for its users, besides the public one.
type networkFlags struct {
	RepositoryNetworks []string `help:"Networks, besides the public one, in which repositories and registries of images may be, or none (default: the private ones). Loopback and link-local addresses and those of this server are closed unless they are named here." default:"10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7" placeholder:"NETWORK"`
	NoticeNetworks     []string `help:"Networks, besides the public one, that notices to robots may go to, such as 10.0.0.0/8." placeholder:"NETWORK"`
}

// config checks the flags and returns what they say.
func (f networkFlags) config() (repositories, notices []netip.Prefix, errs []error) {
	repositories, err := dialer.ParseNetworks("--repository-networks", f.RepositoryNetworks)
	if err != nil {
		errs = append(errs, err)
	}
	if notices, err = dialer.ParseNetworks("--notice-networks", f.NoticeNetworks); err != nil {
		errs = append(errs, err)
	}
	return repositories, notices, errs
}
