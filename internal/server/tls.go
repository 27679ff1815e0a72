package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"atelier/internal/fault"
)

// tlsConfig returns how to serve TLS; nil for plain HTTP.
func tlsConfig(c Config) (*tls.Config, error) {
	certFile, keyFile := c.TLSCert, c.TLSKey
	switch {
	case (certFile == "") != (keyFile == ""):
		return nil, fault.New(fault.Invalid, "--tls-cert and --tls-key: give both or none")
	case certFile != "" && c.TLSSelfSigned:
		return nil, fault.New(fault.Invalid, "--tls-self-signed: a certificate is given by --tls-cert already")
	case c.TLSSelfSigned:
		certFile, keyFile = SelfSignedFiles(c.DataDir)
		if err := makeSelfSigned(certFile, keyFile, c.Listen); err != nil {
			return nil, err
		}
	case certFile == "":
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "--tls-cert %s and --tls-key %s are no certificate and its key", certFile, keyFile)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// SelfSignedFiles returns where the self-signed certificate of a data directory and its key are. Clients trust the certificate
// by the first one.
func SelfSignedFiles(dataDir string) (cert, key string) {
	return filepath.Join(dataDir, "tls", "cert.pem"), filepath.Join(dataDir, "tls", "key.pem")
}

// makeSelfSigned makes a certificate for this machine, unless there is one.
func makeSelfSigned(certFile, keyFile, listen string) error {
	if _, err := os.Stat(certFile); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(certFile), 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Atelier"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// Clients that want an authority in their trust store take the certificate itself for one.
		BasicConstraintsValid: true, IsCA: true,
	}
	template.DNSNames, template.IPAddresses = namesOf(listen)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	// The certificate last: where it is, the key is too.
	if err := writeWhole(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	return writeWhole(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// namesOf returns the names under which clients reach this machine.
func namesOf(listen string) (names []string, ips []net.IP) {
	names, ips = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if name, err := os.Hostname(); err == nil && name != "localhost" {
		names = append(names, name)
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil || host == "" {
		return names, ips
	}
	if ip := net.ParseIP(host); ip != nil {
		return names, append(ips, ip)
	}
	return append(names, host), ips
}
