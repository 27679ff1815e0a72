package notice

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// certificate is what the mail servers of these tests show. This process trusts it, as a machine trusts those of its operator.
var certificate tls.Certificate

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "atelier-notice-*")
	if err == nil {
		err = trust(filepath.Join(dir, "roots.pem"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// trust makes a certificate and a file of those that are trusted, which is read when the first one is checked.
func trust(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return errors.Join(
		os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.Setenv("SSL_CERT_FILE", file), os.Setenv("SSL_CERT_DIR", filepath.Dir(file)),
	)
}

// postOffice is a mail server that knows one user, and receivers by their names.
type postOffice struct{ got chan string }

func (o *postOffice) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &counter{office: o, conn: c}, nil
}

type counter struct {
	office *postOffice
	conn   *smtp.Conn
	user   bool
	to     []string
}

func (c *counter) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c *counter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "builds" || password != "open sesame" {
			return smtp.ErrAuthFailed
		}
		c.user = true
		return nil
	}), nil
}

func (c *counter) Mail(string, *smtp.MailOptions) error {
	if _, encrypted := c.conn.TLSConnectionState(); !encrypted || !c.user {
		return smtp.ErrAuthRequired
	}
	c.to = nil
	return nil
}

func (c *counter) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch {
	case strings.HasPrefix(to, "gone"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	case strings.HasPrefix(to, "full"):
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"}
	}
	c.to = append(c.to, to)
	return nil
}

func (c *counter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	_, subject, _ := strings.Cut(string(text), "Subject: ")
	subject, _, _ = strings.Cut(subject, "\r\n")
	c.office.got <- strings.Join(c.to, " ") + ": " + subject
	return err
}

func (*counter) Reset()        {}
func (*counter) Logout() error { return nil }

// newPostOffice starts a mail server: one that is encrypted from the first byte on, or one that offers STARTTLS.
func newPostOffice(t *testing.T, way MailTLS) (*postOffice, *MailServer) {
	t.Helper()
	office := &postOffice{got: make(chan string, 10)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(office)
	s.Domain = "localhost"
	if config := (&tls.Config{Certificates: []tls.Certificate{certificate}}); way == WholeTLS {
		listener = tls.NewListener(listener, config)
	} else if way == StartTLS {
		s.TLSConfig = config
	}
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	return office, &MailServer{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, From: "atelier@example.org", User: "builds", Password: "open sesame", TLS: way}
}

// TestMail signs in to mail servers over both protected ways, and says nothing to one that offers none.
func TestMail(t *testing.T) {
	t.Parallel()
	for _, way := range []MailTLS{StartTLS, WholeTLS} {
		t.Run(string(way), func(t *testing.T) {
			t.Parallel()
			office, server := newPostOffice(t, way)
			if err := server.send(t.Context(), []string{"dev@example.org"}, "Build 1 of 演示 failed", "text"); err != nil {
				t.Fatal(err)
			}
			if got := <-office.got; !strings.HasPrefix(got, "dev@example.org: =?UTF-8?") {
				t.Errorf("got %q", got)
			}
			wrong := *server
			wrong.Password = "open barley"
			if err := wrong.send(t.Context(), []string{"dev@example.org"}, "t", "text"); err == nil || strings.Contains(err.Error(), "barley") {
				t.Errorf("with a wrong password: %v", err)
			}
			other := *server
			other.Host = "localhost" // which the certificate does not name
			if err := other.send(t.Context(), []string{"dev@example.org"}, "t", "text"); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("with another name: %v", err)
			}
		})
	}
	_, bare := newPostOffice(t, NoTLS)
	bare.TLS = StartTLS
	if err := bare.send(t.Context(), []string{"dev@example.org"}, "t", "text"); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("without protection: %v", err)
	}
	if err := (*MailServer)(nil).send(t.Context(), []string{"dev@example.org"}, "t", "text"); !errors.Is(err, errNoMail) {
		t.Errorf("without a server: %v", err)
	}
}

// TestUnknownReceivers: who is gone does not keep the others from their letter; what may be better the next time is tried again.
func TestUnknownReceivers(t *testing.T) {
	t.Parallel()
	office, server := newPostOffice(t, StartTLS)
	s := &Sender{Mail: server, Log: slog.New(slog.DiscardHandler)}
	for _, tt := range []struct {
		to   []string
		got  []string
		fail bool
	}{
		{[]string{"a@example.org", "b@example.org"}, []string{"a@example.org b@example.org: t"}, false},
		{[]string{"a@example.org", "gone@example.org", "b@example.org"}, []string{"a@example.org: t", "b@example.org: t"}, false},
		{[]string{"gone@example.org"}, nil, true},
		{[]string{"gone@example.org", "gone2@example.org"}, nil, true},
		{[]string{"a@example.org", "full@example.org"}, nil, true},
	} {
		err := s.mail(context.Background(), Notice{}, tt.to, "t", "text")
		if (err != nil) != tt.fail {
			t.Errorf("%v: %v", tt.to, err)
		}
		for _, want := range tt.got {
			if got := <-office.got; got != want {
				t.Errorf("%v: got %q, want %q", tt.to, got, want)
			}
		}
		if len(office.got) > 0 {
			t.Errorf("%v: got also %q", tt.to, <-office.got)
		}
	}
}
