package main

import (
	"net"
	"strconv"

	"atelier/internal/fault"
	"atelier/internal/notice"
)

// noticeFlags say how notices leave the server.
type noticeFlags struct {
	SMTPServer       string `name:"smtp-server" help:"Mail server for notices." placeholder:"HOST:PORT"`
	SMTPFrom         string `name:"smtp-from" help:"Address that notices come from." placeholder:"ADDRESS"`
	SMTPUser         string `name:"smtp-user" help:"Name to sign in to the mail server with." placeholder:"NAME"`
	SMTPPasswordFile string `name:"smtp-password-file" help:"File with the password for that." placeholder:"FILE"`
	SMTPTLS          string `name:"smtp-tls" help:"How the way to the mail server is protected: ${enum}." enum:"starttls,tls,none" default:"starttls"`
}

// config checks the flags and returns what they say.
func (f noticeFlags) config() (*notice.MailServer, []error) {
	if f.SMTPServer == "" {
		return nil, nil
	}
	var errs []error
	host, port, err := net.SplitHostPort(f.SMTPServer)
	n, wrong := strconv.Atoi(port)
	if err != nil || host == "" || wrong != nil || n < 1 || n > 65535 {
		errs = append(errs, fault.Field("--smtp-server", "must be HOST:PORT such as mail.example.org:587, found %q", f.SMTPServer))
	}
	if f.SMTPFrom == "" {
		errs = append(errs, fault.Field("--smtp-from", "is missing; a mail server wants to know who writes"))
	}
	password, err := readSecret("--smtp-password-file", f.SMTPPasswordFile, nil)
	if err != nil {
		errs = append(errs, err)
	}
	if f.SMTPUser != "" && f.SMTPTLS == "none" {
		errs = append(errs, fault.Field("--smtp-tls", "must be starttls or tls when there is a --smtp-user, or the password could be read on the way"))
	}
	return &notice.MailServer{Host: host, Port: n, From: f.SMTPFrom, User: f.SMTPUser, Password: password, TLS: notice.MailTLS(f.SMTPTLS)}, errs
}
