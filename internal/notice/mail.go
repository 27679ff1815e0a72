package notice

import (
	"context"
	"errors"
	"fmt"

	"github.com/wneessen/go-mail"
)

// MailServer is where e-mail is handed in.
type MailServer struct {
	Host     string
	Port     int
	From     string
	User     string // empty to sign in as nobody
	Password string
	TLS      MailTLS
}

// MailTLS says how the way to a mail server is protected.
type MailTLS string

// The ways.
const (
	StartTLS MailTLS = "starttls" // begins in plain text, and refuses to go on so
	WholeTLS MailTLS = "tls"
	NoTLS    MailTLS = "none"
)

var errNoMail = errors.New("this server has no mail server; its operator can name one with --smtp-server")

func (s *MailServer) send(ctx context.Context, to []string, title, text string) error {
	if s == nil {
		return errNoMail
	}
	m := mail.NewMsg()
	if err := m.From(s.From); err != nil {
		return fmt.Errorf("the sender's address: %w", err)
	}
	if err := m.To(to...); err != nil {
		return fmt.Errorf("a receiver's address: %w", err)
	}
	m.Subject(title)
	m.SetBodyString(mail.TypeTextPlain, text)
	options := []mail.Option{mail.WithPort(s.Port)}
	switch s.TLS {
	case WholeTLS:
		options = append(options, mail.WithSSL())
	case NoTLS:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if s.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.User), mail.WithPassword(s.Password))
	}
	client, err := mail.NewClient(s.Host, options...)
	if err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	return client.DialAndSendWithContext(ctx, m)
}

// unknownReceiver reports whether a mail server has said that it will never take a letter for a receiver.
func unknownReceiver(err error) bool {
	e, ok := errors.AsType[*mail.SendError](err)
	return ok && e.Reason == mail.ErrSMTPRcptTo && !e.IsTemp()
}
